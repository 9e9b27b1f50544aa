// The view of a ready server: when it ends, what becomes of its files, and the buttons that stop or extend it.

import { button, part, write } from "./parts.js";
import { extensionOf } from "./session.js";
import { ends, filled, timeOfDay } from "./texts.js";

const SOON_MS = 10 * 60_000;

export class AfterReady {
  #state;
  #texts;
  #isAsking = false;
  #left = null;

  /** `on` has the actions stop and extend. A question comes before `on.stop()`. */
  constructor({ on }) {
    this.ends = part("p", "ends");
    this.temporary = part("p", "temporary");
    this.refusal = part("p", "note");
    this.stop = button("stop", () => this.#ask(true));
    this.extend = button("extend", on.extend);
    this.question = part("p", "question", { id: "question" });
    this.result = part("p", "result", { id: "result" });
    this.confirm = button("confirm", () => {
      this.#ask(false);
      on.stop();
    });
    this.keep = button("keep", () => this.#ask(false));
    this.confirmation = part(
      "div",
      "confirmation",
      { role: "group", "aria-labelledby": "question", "aria-describedby": "result" },
      this.question,
      this.result,
      part("div", "actions", {}, this.keep, this.confirm),
    );
    this.confirmation.addEventListener("keydown", ({ key }) => key === "Escape" && this.#ask(false));
  }

  get words() {
    return [this.temporary, this.ends, this.refusal];
  }

  /** The words to announce when they change. The countdown itself would never stop talking. */
  get said() {
    const warning = this.#isSoon ? filled(this.#texts.endsSoon, { time: timeOfDay(this.#state.endsAt) }) : "";
    return [this.temporary.textContent, this.refusal.textContent, warning];
  }

  show(state, texts) {
    this.#state = state;
    this.#texts = texts;
    const isRunning = state.phase === "ready" && state.isOwn && !state.isStopping;
    this.#isAsking &&= isRunning;
    this.stop.hidden = !isRunning;
    this.stop.textContent = texts.stop;
    const seconds = isRunning ? extensionOf(state) : 0;
    this.extend.hidden = seconds === 0;
    this.extend.setAttribute("aria-disabled", state.isExtending);
    const time = filled(texts.inMinutes, { count: Math.round(seconds / 60) });
    this.extend.textContent = filled(texts.extend, { time });
    write(this.temporary, isRunning && state.isTemporary ? texts.temporary : "");
    write(this.refusal, isRunning ? (state.sessionProblem?.title ?? "") : "");
    this.question.textContent = texts.stopQuestion;
    this.result.textContent = state.isTemporary ? texts.stopTemporary : texts.stopRunning;
    this.confirm.textContent = texts.stopConfirm;
    this.keep.textContent = texts.keep;
    this.#showQuestion();
  }

  /** Count down to the end. `now` is the service's time. */
  tick(now) {
    const { phase, isOwn, isStopping, endsAt } = this.#state;
    this.#left = phase === "ready" && isOwn && !isStopping && endsAt !== null ? endsAt - now : null;
    write(this.ends, this.#left === null ? "" : ends(endsAt, this.#left, this.#texts));
    this.ends.classList.toggle("soon", this.#isSoon);
  }

  get #isSoon() {
    return this.#left !== null && this.#left < SOON_MS;
  }

  /** In place of the other buttons, show the question whether to stop, or close that question. The focus is on the harmless answer. */
  #ask(isAsking) {
    this.#isAsking = isAsking;
    this.#showQuestion();
    (isAsking ? this.keep : this.stop).focus();
  }

  #showQuestion() {
    this.confirmation.hidden = !this.#isAsking;
    this.stop.parentElement.hidden = this.#isAsking;
  }
}
