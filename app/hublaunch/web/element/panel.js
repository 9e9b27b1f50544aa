// The view of <hub-launch>: a button, then the progress of the launch in its place. Built once, then updated.

import { AfterReady } from "./after-ready.js";
import { button, isHidden, part, write } from "./parts.js";
import { ORIGIN_NOT_ALLOWED } from "./patience.js";
import { isInProgress, isLasting } from "./state.js";
import { STYLE } from "./style.js";
import { adviceOn, clock, filled, phaseName, place, size, stall, usually } from "./texts.js";
import { isLong, percent } from "./usual.js";

const SAID_EVERY_MS = 4000;
const LOST_AFTER_MS = 2000;
const ICONS = {
  ready: "M5 12.5l4.5 4.5L19 7.5",
  failed: "M12 6.5v7M12 17.2v.3",
  cancelled: "M7.5 12h9",
  stopped: "M7.5 12h9",
};

function icon() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(svg.namespaceURI, "path"));
  return svg;
}

export class Panel {
  #root;
  #state;
  #texts;
  #now;
  #saying = { text: "", at: 0, timer: 0 };
  #lostAt = null;
  #lostTimer = 0;
  #isBlocked = false;
  #shownEvents = [];
  #shown = { attempt: 0, progress: 0 };
  #stallSaid = { at: null, text: "" };

  /** `on` has the buttons' actions: launch, cancel, retry, another, stop and extend. `now()` returns the service's time. */
  constructor(root, { on, now }) {
    this.#root = root;
    this.#now = now;
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style];
    this.#build(on);
  }

  #build(on) {
    this.label = document.createElement("slot");
    this.start = button("launch", on.launch);
    this.start.classList.add("primary");
    this.start.append(this.label);

    this.icon = part("span", "icon", {}, icon());
    this.title = part("p", "title", { tabindex: "-1", id: "title" });
    this.time = part("span", "elapsed", { role: "timer", "aria-live": "off" });
    this.fill = part("div", "fill");
    this.bar = part("div", "bar", { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, this.fill);
    this.place = part("p", "position");
    this.stalled = part("p", "stalled");
    this.message = part("p", "message");
    this.note = part("p", "note");
    this.detail = part("p", "problem");
    this.advice = part("p", "advice");
    this.open = part("a", "button open", { rel: "noreferrer", class: "primary" });
    this.cancel = button("cancel", on.cancel);
    this.retry = button("retry", on.retry);
    this.another = button("another", on.another);
    this.after = new AfterReady({ on });
    this.summary = part("summary", "details");
    this.log = part("ol", "log", { tabindex: "0" });
    this.id = part("p", "id");
    this.details = part("details", "", {}, this.summary, this.log, this.id);
    this.said = part("p", "", { role: "status", class: "said" });
    this.panel = part(
      "div",
      "panel",
      { role: "group", "aria-labelledby": "title" },
      part("div", "head", {}, this.icon, this.title, this.time),
      this.bar,
      part("div", "words", {}, this.place, this.message, this.stalled, this.detail, this.advice, ...this.after.words, this.note),
      part(
        "div",
        "",
        { class: "foot" },
        part("div", "actions", {}, this.open, this.retry, this.after.stop, this.another, this.cancel, this.after.extend),
        this.after.confirmation,
        this.details,
      ),
    );
    this.#root.append(this.start, this.panel, this.said);
  }

  /** Show this state; `openIn` is `_blank` or `_self`, `canLaunch` says whether there is an image to launch. */
  show(state, { texts, openIn, canLaunch, hasLabel }) {
    const before = this.#state?.phase;
    const focused = this.#root.activeElement;
    this.#state = state;
    this.#texts = texts;
    this.label.name = hasLabel ? "" : "none"; // white space alone would count as a label
    this.#showWords(state);
    this.#showActions(state, { openIn, canLaunch });
    this.after.show(state, texts);
    this.#showLog(state.events);
    this.#showNote(state);
    this.tick();
    if (before !== state.phase) this.panel.setAttribute("data-phase", state.phase);
    if (focused && isHidden(focused)) this.#keepFocus();
  }

  focus() {
    this.title.focus({ preventScroll: true });
  }

  /** Show what changes with time. */
  tick() {
    this.#showTime();
    this.#showStall(this.#state);
    this.#showMessage(this.#state);
    this.#showBar(this.#state);
    this.after.tick(this.#now());
    this.#say();
  }

  #showTime() {
    const { startedAt, endedAt } = this.#state;
    this.time.hidden = startedAt === null;
    if (startedAt === null) return;
    const passed = clock((endedAt ?? this.#now()) - startedAt);
    this.time.textContent = this.#state.phase === "ready" ? filled(this.#texts.took, { time: passed }) : passed;
    this.time.setAttribute("aria-label", `${this.#texts.elapsed}: ${passed}`);
  }

  #showStall({ phase, isCancelling, stalledAt, stalledReason }) {
    const at = phase === "launching" && !isCancelling ? stalledAt : null;
    write(this.stalled, at === null ? "" : stall(this.#now() - at, stalledReason, this.#texts));
    // A screen reader says it once, and not again every minute.
    if (this.#stallSaid.at !== at) this.#stallSaid = { at, text: this.stalled.textContent };
  }

  #showMessage({ phase, attempt, imageBytes, usual }) {
    const texts = this.#texts;
    const tried = attempt > 1 ? filled(texts.attempt, { count: attempt }) : "";
    const pulled = imageBytes ? filled(texts.imageSize, { size: size(imageBytes) }) : "";
    const takes = usual ? usually(usual.p50Ms, { isLong: isLong(usual, this.#now()) }, texts) : "";
    write(this.message, phase === "launching" ? [tried, pulled, takes].filter(Boolean).join(" · ") : "");
  }

  #showWords({ phase, stage, position, isCancelling, isStopping, isOwn, stoppedBy, problem, contentFault, launchPage }) {
    const texts = this.#texts;
    this.label.textContent = texts.launch;
    this.start.hidden = phase !== "idle";
    this.panel.hidden = phase === "idle";
    const title = { unreachable: texts.unreachable, [ORIGIN_NOT_ALLOWED]: texts.originNotAllowed }[problem?.code] ?? problem?.title;
    const ending = (isCancelling && texts.cancelling) || (isStopping && texts.stopping);
    write(this.title, ending || (title ?? phaseName({ phase, stage, isOwn, stoppedBy }, texts)));
    this.icon.querySelector("path").setAttribute("d", ICONS[phase] ?? "");
    write(this.place, phase === "waiting" && position ? place(position, texts) : "");
    write(this.detail, problem?.detail ?? contentFault ?? "");
    write(this.advice, adviceOn(problem ?? {}, texts));
    this.cancel.textContent = texts.cancel;
    this.retry.textContent = phase === "failed" ? texts.retry : texts.again;
    this.another.textContent = texts.another;
    this.open.textContent = launchPage ? texts.launchPage : texts.open;
    this.summary.textContent = texts.details;
    this.log.setAttribute("aria-label", texts.log);
    this.bar.setAttribute("aria-label", texts.progress);
  }

  /** Between the Hub's steps the bar moves by the time that has passed. It never falls during an attempt. */
  #showBar({ phase, attempt, progress: reported, usual, position, isCancelling }) {
    const isKnown = phase === "launching" || phase === "ready";
    const timed = phase === "launching" && usual ? Math.floor(percent(usual, this.#now())) : 0;
    const least = attempt === this.#shown.attempt ? this.#shown.progress : 0;
    const progress = isKnown ? Math.max(least, reported, timed) : 0;
    this.#shown = { attempt, progress };
    this.bar.hidden = !isKnown && !["asking", "resuming", "waiting"].includes(phase);
    this.bar.classList.toggle("unknown", !isKnown || isCancelling);
    this.fill.style.setProperty("--progress", isKnown ? progress / 100 : 0);
    if (isKnown) this.bar.setAttribute("aria-valuenow", progress);
    else this.bar.removeAttribute("aria-valuenow");
    const said = (position ? this.place : this.title).textContent;
    this.bar.setAttribute("aria-valuetext", isKnown ? `${progress} %, ${said}` : said);
  }

  #showActions({ phase, isOwn, isCancelling, isStopping, openUrl: knownUrl, launchPage, problem }, { openIn, canLaunch }) {
    const openUrl = isStopping ? null : (launchPage ?? knownUrl);
    const isOver = ["failed", "cancelled", "stopped"].includes(phase);
    this.cancel.hidden = !isOwn || isOver || phase === "ready" || phase === "resuming";
    this.cancel.setAttribute("aria-disabled", isCancelling); // disabled, it would lose the focus
    this.retry.hidden = !isOver || !canLaunch;
    this.retry.classList.toggle("primary", !isLasting(problem) && launchPage === null);
    this.another.hidden = phase !== "ready" || isStopping || !canLaunch;
    this.open.hidden = openUrl === null;
    if (openUrl === null) this.open.removeAttribute("href");
    else this.open.href = openUrl;
    this.open.target = openIn;
    this.open.title = openIn === "_blank" ? this.#texts.openHint : "";
    this.details.inert = this.#state.id === null; // its place is kept
    write(this.id, this.#state.id ? filled(this.#texts.id, { id: this.#state.id }) : "");
  }

  #showLog(events) {
    if (events === this.#shownEvents) return;
    const isContinued = this.#shownEvents.every((event, n) => event === events[n]);
    if (!isContinued) this.log.replaceChildren();
    const begunAt = events.length ? Date.parse(events[0].at) : 0;
    for (const event of events.slice(isContinued ? this.#shownEvents.length : 0)) {
      const at = part("span", "log-time", {}, clock(Date.parse(event.at) - begunAt));
      this.log.append(part("li", "log-entry", {}, at, part("span", "log-message", {}, event.message)));
    }
    this.#shownEvents = events;
  }

  /** A connection lost for a moment, as while the service restarts, is not worth a note. */
  #showNote({ phase, isConnected, id }) {
    clearTimeout(this.#lostTimer);
    this.#isBlocked &&= phase === "ready";
    write(this.note, this.#isBlocked ? this.#texts.blocked : "");
    this.#lostAt = isConnected ? null : (this.#lostAt ?? Date.now());
    if (isConnected) return;
    const wait = navigator.onLine ? this.#lostAt + LOST_AFTER_MS - Date.now() : 0;
    if (wait > 0) this.#lostTimer = setTimeout(() => this.#showLost(id), wait);
    else this.#showLost(id);
  }

  #showLost(id) {
    const offline = id ? this.#texts.offlineInProgress : this.#texts.offline;
    write(this.note, navigator.onLine ? this.#texts.lost : offline);
    this.#say();
  }

  noteBlocked() {
    this.#isBlocked = true;
    write(this.note, this.#texts.blocked);
    this.#say();
  }

  /** The focused element is gone: move the focus to its replacement. */
  #keepFocus() {
    const next = [this.start, this.open, this.retry].find((one) => !isHidden(one));
    (this.#state.phase === "idle" || this.#state.phase === "ready" ? (next ?? this.title) : this.title).focus();
  }

  /** Announce changes to screen readers, no more often than a listener can follow; the end immediately. */
  #say() {
    const isOver = !isInProgress(this.#state);
    const [first, ...rest] = [this.title, this.place, this.message, this.detail, this.advice, this.note];
    const said = rest.map((one) => one.textContent);
    const words = [first.textContent, this.#stallSaid.text, ...said, ...this.after.said];
    const text = this.panel.hidden ? "" : words.filter(Boolean).join(". ");
    if (text === this.#saying.text) return;
    this.#saying.text = text;
    clearTimeout(this.#saying.timer);
    const wait = isOver ? 0 : Math.max(0, this.#saying.at + SAID_EVERY_MS - Date.now());
    this.#saying.timer = setTimeout(() => {
      this.#saying.at = Date.now();
      this.said.textContent = text;
    }, wait);
  }
}
