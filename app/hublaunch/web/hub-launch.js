// <hub-launch image="…" repo-url="…" repo-ref="…" path="…">Launch</hub-launch>
// <hub-launch environment="…" size="…" repo-url="…">Launch</hub-launch>
//
// A button that launches a Jupyter server, shows its progress, and opens the server when it is ready. Load the module
// from hublaunch itself: <script type="module" src="https://hub.example.org/services/launch/static/hub-launch.js">
//
// Attributes, properties, events and parts are described in hub-launch.d.ts and docs/element.md.

import { Memory } from "./element/memory.js";
import { Panel } from "./element/panel.js";
import { LaunchRun } from "./element/run.js";
import { Service } from "./element/service.js";
import { session } from "./element/storage.js";
import { TEXTS, attributeOf } from "./element/texts.js";

const ASKED_HERE = "hub-launch asked ";
const TARGET = ["image", "environment", "size", "repo-url", "repo-ref", "path", "service", "launch-id", "invitation"];
const PROPERTIES = [
  ...["image", "environment", "size", "repoUrl", "repoRef", "path"],
  ...["service", "open", "theme", "launchId", "secret", "invitation", "texts"],
];
const TEXT_NAMES = new Map(Object.keys(TEXTS).map((name) => [attributeOf(name), name]));

/** Without a document, as on a server that renders pages, the module loads and does nothing. */
const Base = globalThis.HTMLElement ?? class {};

export class HubLaunch extends Base {
  static observedAttributes = [...TARGET, "open", ...TEXT_NAMES.keys()];

  #secret = null;
  #texts = {};
  #panel = null;
  #run = null;
  #memory = null;
  #service = null;
  #ticking = 0;
  #leaving = new AbortController();
  #isChanging = false;

  connectedCallback() {
    for (const name of PROPERTIES) this.#takeOver(name);
    this.#panel ??= new Panel(this.attachShadow({ mode: "open" }), {
      now: () => Date.now() + this.#service.skewMs,
      on: {
        launch: () => this.launch(),
        cancel: () => this.cancel(),
        retry: () => this.launch(),
        another: () => this.launch({ another: true }),
        stop: () => this.stop(),
        extend: () => this.extend(),
      },
    });
    this.#leaving = new AbortController();
    this.#listen(this.#leaving);
    this.#begin();
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#run.close();
    clearInterval(this.#ticking);
  }

  attributeChangedCallback(name) {
    if (!this.isConnected || !this.#run) return;
    if (!TARGET.includes(name)) this.#show();
    else if (!this.#isChanging) {
      // Frameworks set one attribute after the other: treat them as one change.
      this.#isChanging = true;
      queueMicrotask(() => {
        this.#isChanging = false;
        if (this.isConnected && !this.#run.isInProgress) this.#begin();
      });
    }
  }

  get image() {
    return this.getAttribute("image") ?? "";
  }

  set image(value) {
    this.setAttribute("image", value);
  }

  /** An environment of the catalogue, in place of an image. */
  get environment() {
    return this.getAttribute("environment") ?? "";
  }

  set environment(value) {
    this.setAttribute("environment", value);
  }

  /** A size of the environment. By default its first one. */
  get size() {
    return this.getAttribute("size") ?? "";
  }

  set size(value) {
    this.setAttribute("size", value);
  }

  get repoUrl() {
    return this.getAttribute("repo-url") ?? "";
  }

  set repoUrl(value) {
    this.setAttribute("repo-url", value);
  }

  /** The branch, tag or commit. Not `ref`, which React and Vue keep for themselves. */
  get repoRef() {
    return this.getAttribute("repo-ref") ?? "";
  }

  set repoRef(value) {
    this.setAttribute("repo-ref", value);
  }

  get path() {
    return this.getAttribute("path") ?? "";
  }

  set path(value) {
    this.setAttribute("path", value);
  }

  /** The base URL of hublaunch. By default the one that this module was loaded from. */
  get service() {
    const { href } = new URL(this.getAttribute("service") ?? new URL("..", import.meta.url), document.baseURI);
    return href.endsWith("/") ? href : `${href}/`;
  }

  set service(value) {
    this.setAttribute("service", value);
  }

  /** Where a ready server opens: in the `same` tab, in a `new` tab, or not at all (`none`). */
  get open() {
    const open = this.getAttribute("open");
    return open === "new" || open === "none" ? open : "same";
  }

  set open(value) {
    this.setAttribute("open", value);
  }

  /** `light`, `dark`, or `auto` as the visitor's system. By default the `color-scheme` of the page decides. */
  get theme() {
    return this.getAttribute("theme") ?? "";
  }

  set theme(value) {
    this.setAttribute("theme", value);
  }

  get launchId() {
    return this.getAttribute("launch-id");
  }

  set launchId(value) {
    this.setAttribute("launch-id", value);
  }

  /** The secret of the launch that `launch-id` names. */
  get secret() {
    return this.#secret;
  }

  set secret(value) {
    this.#secret = value;
  }

  /** The code of an invitation to launch with. Everybody who can read the page can read it, too. */
  get invitation() {
    return this.getAttribute("invitation") ?? "";
  }

  set invitation(value) {
    this.setAttribute("invitation", value);
  }

  /** Texts that replace this element's English ones. */
  get texts() {
    const given = Array.from(TEXT_NAMES, ([attribute, name]) => [name, this.getAttribute(attribute)]);
    return { ...TEXTS, ...this.#texts, ...Object.fromEntries(given.filter(([, text]) => text !== null)) };
  }

  set texts(texts) {
    this.#texts = { ...texts };
    if (this.#run) this.#show();
  }

  /** The phase: idle, asking, resuming, waiting, launching, ready, failed, cancelled or stopped. */
  get phase() {
    return this.#run?.state.phase ?? "idle";
  }

  /** Do what a click does: launch, or resume the remembered launch. `another` makes a new launch. */
  async launch({ another = false } = {}) {
    if (!this.#hasTarget) throw new Error("<hub-launch> has no image and no environment to launch.");
    const launched = this.#run.launch({ another });
    this.#panel.focus();
    await launched;
  }

  async cancel() {
    await this.#run.cancel();
  }

  /** Stop the ready server, without the question that the button asks. */
  async stop() {
    await this.#run.stop();
  }

  /** Let the ready server run an hour longer, or as long as the service allows. */
  async extend() {
    await this.#run.extend();
  }

  /** A value that a page set before this module loaded hides the property of the same name. */
  #takeOver(name) {
    if (!Object.hasOwn(this, name)) return;
    const value = this[name];
    delete this[name];
    this[name] = value;
  }

  get #hasTarget() {
    return this.image !== "" || this.environment !== "";
  }

  #begin() {
    this.#run?.close();
    const { environment, size, repoUrl, repoRef, path } = this;
    const target = { image: environment ? "" : this.image, environment, size, repoUrl, repoRef, path };
    this.#service = new Service(this.service, { invitation: this.invitation });
    this.#memory = new Memory(this.service, target);
    this.#run = new LaunchRun({
      service: this.#service,
      memory: this.#memory,
      target,
      show: () => this.#show(),
      tell: (name, detail) => this.#tell(name, detail),
    });
    this.#show();
    if (this.launchId) this.#run.watch(this.launchId, this.secret);
    else if (this.#hasTarget) this.#run.resume();
  }

  #listen({ signal }) {
    window.addEventListener("storage", (event) => this.#heardOfAnotherTab(event), { signal });
    for (const name of ["online", "offline"]) window.addEventListener(name, () => this.#show(), { signal });
    window.addEventListener("pageshow", (event) => this.#hasComeBack(event), { signal });
  }

  /** A page restored from the bfcache is out of date: its server may have ended, its visitor may have changed. */
  #hasComeBack({ persisted }) {
    if (persisted && this.phase === "ready") this.#begin();
  }

  #heardOfAnotherTab({ key }) {
    // Not before the launch is accepted: the other tab requests it, and opens the server.
    if (key === this.#memory.name && this.phase === "idle" && this.#memory.kept()?.id) this.#run.resume();
  }

  #show() {
    const { state, isInProgress } = this.#run;
    this.#panel.show(state, {
      texts: this.texts,
      openIn: this.open === "new" ? "_blank" : "_self",
      canLaunch: this.#hasTarget,
      hasLabel: this.childElementCount > 0 || this.textContent.trim() !== "",
    });
    clearInterval(this.#ticking);
    this.#ticking = 0;
    if (isInProgress || state.endsAt !== null) this.#ticking = setInterval(() => this.#panel.tick(), 1000);
  }

  #tell(name, detail) {
    if (name === "launch") session.setItem(ASKED_HERE + detail.id, "1");
    const event = new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: name === "ready" });
    const isLeftToUs = this.dispatchEvent(event);
    if (name === "ready" && isLeftToUs) this.#openOnce();
  }

  /**
   * Open the server once, in the tab that launched it. A visitor who comes back to this page stays here. If the files
   * of the repository are missing, the visitor first reads why, and then opens the server.
   */
  #openOnce() {
    const { id, openUrl, contentFault } = this.#run.state;
    const isAskedHere = session.getItem(ASKED_HERE + id) !== null;
    session.removeItem(ASKED_HERE + id);
    if (!isAskedHere || this.open === "none" || openUrl === null || contentFault !== null) return;
    if (this.open === "same") {
      window.location.assign(openUrl);
      return;
    }
    const tab = window.open("", "_blank");
    if (tab === null) {
      this.#panel.noteBlocked();
      return;
    }
    tab.opener = null;
    tab.location.replace(openUrl);
  }
}

globalThis.customElements?.get("hub-launch") ?? globalThis.customElements?.define("hub-launch", HubLaunch);
