// One launch in a browser, from the click to its end. Knows nothing of the element or the page.

import { Following } from "./following.js";
import { ORIGIN_NOT_ALLOWED, pause, untilReached } from "./patience.js";
import { Refused } from "./service.js";
import { Session } from "./session.js";
import { IDLE, isInProgress, webUrl } from "./state.js";
import { usualOf } from "./usual.js";

const GIVE_UP_MS = 60_000;
const CANCEL_PAUSE_MS = 1000;
const ACTIVE = new Set(["waiting", "launching", "ready"]);

export class LaunchRun {
  state = IDLE;
  #service;
  #memory;
  #target;
  #show;
  #tell;
  #entry = null;
  #secret = null;
  #following = null;
  #session = null;
  #isClosed = false;
  #calls = new AbortController();

  /**
   * `show(state)` is called at every change, `tell(name, detail)` for the events launch, progress, ready, failed,
   * cancelled and stopped. Without an image in `target` a launch can only be watched.
   */
  constructor({ service, memory, target, show, tell }) {
    this.#service = service;
    this.#memory = memory;
    this.#target = target;
    this.#show = show;
    this.#tell = tell;
  }

  get isInProgress() {
    return isInProgress(this.state);
  }

  /** Stop following the launch, for good. The launch continues. */
  close() {
    this.#isClosed = true;
    this.#leave();
  }

  #leave() {
    this.#calls.abort();
    this.#following?.close();
    this.#session?.close();
    this.#session = null;
  }

  /** Launch, or resume this browser's launch. `another` makes a new launch. */
  async launch({ another = false } = {}) {
    if (this.isInProgress && this.state.phase !== "resuming") return;
    const instead = another ? this.#entry?.key : undefined;
    this.#begin({ phase: "asking", startedAt: this.#now(), isOwn: true });
    const { signal } = this.#calls;
    const entry = await this.#memory.claim({ instead });
    if (signal.aborted) return;
    const found = entry.id ? await this.#find(entry.id, entry.secret) : null;
    if (signal.aborted) return;
    if (found && ACTIVE.has(found.status)) {
      this.#entry = entry;
      this.#tell("launch", { ...found, secret: entry.secret });
      this.#follow(found, entry.secret);
    } else if (found?.isRefused && !found.isGone) {
      this.#refused(found.problem);
    } else {
      await this.#ask(entry.id ? await this.#memory.claim({ instead: entry.key }) : entry);
    }
  }

  /** Resume this browser's launch, if there is one. */
  async resume() {
    const entry = this.#memory.kept();
    if (this.isInProgress || !entry || entry.isPaused) return;
    this.#begin({ phase: "resuming", startedAt: entry.at, isOwn: true });
    if (!entry.id) {
      await this.#ask(entry);
      return;
    }
    this.#entry = entry;
    const found = await this.#find(entry.id, entry.secret);
    if (found?.isGone) {
      this.#memory.forget(entry.key);
      this.#begin({});
    } else if (found) {
      this.#take(found, entry.secret);
    }
  }

  /** Follow a launch, wherever it was launched. */
  async watch(id, secret) {
    const entry = this.#memory.kept();
    this.#begin({ phase: "resuming", id });
    this.#entry = entry?.id === id ? entry : null;
    const key = secret ?? this.#entry?.secret;
    const found = await this.#find(id, key);
    if (found) this.#take(found, key);
  }

  async cancel() {
    if (!this.isInProgress || this.state.isCancelling) return;
    if (this.state.id) {
      this.#set({ isCancelling: true });
      await this.#cancelUntilOver();
    } else if (this.state.isConnected) {
      this.#set({ isCancelling: true }); // the answer will show whether there is anything to cancel
    } else {
      this.#memory.keep({ ...this.#entry, isPaused: true });
      this.#begin({});
    }
  }

  /** Stop the ready server, if it is this visitor's. */
  async stop() {
    await this.#session?.stop();
  }

  /** Let the ready server run longer, if it is this visitor's and the operator allows it. */
  async extend() {
    await this.#session?.extend();
  }

  async #ask(entry) {
    this.#entry = { key: entry.key, at: entry.at, isAnother: entry.isAnother };
    this.#memory.keep(this.#entry);
    const asked = { key: entry.key, mayReuse: !entry.isAnother };
    try {
      const launch = await this.#reach((signal) => this.#service.launch(this.#target, { ...asked, signal }), {
        giveUpMs: GIVE_UP_MS,
      });
      if (launch) this.#accepted(launch);
    } catch (error) {
      if (error instanceof Refused) {
        // After a fault of the service, the launch may still exist: the same key finds it.
        if (error.problem.code === "internal_error") this.#memory.keep({ ...this.#entry, isPaused: true });
        else this.#memory.forget(entry.key);
        this.#refused(error.problem);
      } else {
        // Keep the key, as the service may have acted. A reload does not resume it by itself.
        this.#memory.keep({ ...this.#entry, isPaused: true });
        this.#end({ phase: "failed", problem: { code: "unreachable" } });
      }
    }
  }

  #accepted(launch) {
    this.#entry = { ...this.#entry, id: launch.id, secret: launch.secret };
    this.#memory.keep(this.#entry);
    if (!this.state.isCancelling) this.#tell("launch", launch);
    this.#follow(launch, launch.secret);
    if (this.state.isCancelling) this.#cancelUntilOver();
  }

  #reach(call, options) {
    return untilReached(call, {
      signal: this.#calls.signal,
      lost: () => this.#set({ isConnected: false }),
      refusesOrigin: (signal) => this.#service.refusesOrigin(signal),
      ...options,
    });
  }

  /** Return the launch, or the problem that hides it; undefined once nobody waits. */
  async #find(id, secret) {
    try {
      return await this.#reach((signal) => this.#service.get(id, { secret, signal }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { isRefused: true, isGone: error.isGone, problem: error.problem };
    }
  }

  #take(found, secret) {
    if (found.isRefused) this.#refused(found.problem);
    else if (found.status === "stopped") this.#stopped(found);
    else this.#follow(found, secret);
  }

  #follow(launch, secret) {
    if (this.#calls.signal.aborted) return; // a listener of `launch` has removed the element
    this.#secret = secret;
    const startedAt = Date.parse(launch.created_at);
    this.#set({ id: launch.id, startedAt, isConnected: true, isOwn: "image" in launch });
    this.#following = new Following({
      service: this.#service,
      id: launch.id,
      secret,
      on: {
        event: (event) => this.#event(event),
        position: (position) => this.#set({ position: position.position > 0 ? position : null }), // 0: admitted
        connection: (isConnected) => isConnected !== this.state.isConnected && this.#set({ isConnected }),
        ended: (missed) => (missed.status === "stopped" ? this.#stopped(missed) : this.#event(missed)),
        refused: (problem) => this.#refused(problem),
      },
    });
  }

  /** An event, or a launch whose last event was missed. */
  #event(told) {
    const { phase, stage, progress, attempt } = told;
    const imageBytes = told.image_bytes ?? this.state.imageBytes;
    if (told.seq) this.#set({ events: [...this.state.events.filter(({ seq }) => seq < told.seq), told] });
    if (phase === "waiting" || phase === "launching") {
      const isWaiting = phase === "waiting";
      const usual = isWaiting ? null : usualOf(told, this.state.usual);
      const stalledAt = told.stalled_since ? Date.parse(told.stalled_since) : null;
      const stalled = { stalledAt, stalledReason: told.stalled_reason ?? null };
      const position = isWaiting ? this.state.position : null;
      this.#set({ phase, stage, progress, attempt, imageBytes, usual, position, ...stalled });
      this.#tell("progress", told);
    } else if (phase !== "ready" || !this.state.isCancelling) {
      this.#remember(phase);
      const at = told.at ?? told.ended_at;
      const endedAt = at ? Date.parse(at) : this.#now();
      const openUrl = webUrl(told.open_url);
      const contentFault = told.content_fault ?? null;
      this.#end({ phase, progress, attempt, endedAt, openUrl, contentFault, problem: told.problem ?? null }, told);
      this.#followSession();
    }
  }

  /** Learn how long the server of this visitor runs. A listener may have removed the element. */
  #followSession() {
    if (this.#isClosed || this.state.phase !== "ready" || !this.state.isOwn) return;
    this.#session = new Session({
      service: this.#service,
      id: this.state.id,
      secret: this.#secret,
      now: () => this.#now(),
      on: { state: (changes) => this.#set(changes), stopped: (launch) => this.#stopped(launch) },
    });
  }

  #stopped(launch) {
    this.#remember("stopped");
    this.#begin({
      phase: "stopped",
      id: launch.id,
      isOwn: "image" in launch,
      startedAt: Date.parse(launch.created_at),
      stoppedBy: launch.stopped_by ?? null,
    });
    this.#tell("stopped", launch);
  }

  /** The launch is hidden for now, or was refused. What is hidden stays in memory: a login may show it again. */
  #refused(problem) {
    const isPage = problem.code === ORIGIN_NOT_ALLOWED;
    if (isPage) this.#service.explainOrigin();
    const launchPage = isPage ? this.#service.pageOf(this.#target, this.state.id) : null;
    this.#end({ phase: "failed", problem, openUrl: webUrl(problem.open_url), launchPage });
  }

  #remember(phase) {
    if (phase === "ready" && this.#entry) {
      this.#entry = { endedAt: Date.now(), ...this.#entry };
      this.#memory.keep(this.#entry);
    } else {
      this.#memory.forget(this.#entry?.key);
    }
  }

  /** Cancel until it has ended. A server that becomes ready meanwhile is stopped, too. */
  async #cancelUntilOver() {
    const { signal } = this.#calls;
    try {
      while (await this.#reach(() => this.#service.cancel(this.state.id, { secret: this.#secret, signal }))) {
        await pause(CANCEL_PAUSE_MS, signal);
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#set({ isCancelling: false });
      return;
    }
    if (this.isInProgress && !signal.aborted) this.#event({ phase: "cancelled", progress: 0 });
  }

  #begin(state) {
    this.#leave();
    this.#calls = new AbortController();
    this.state = IDLE;
    this.#set(state);
  }

  #set(changes) {
    this.state = { ...this.state, ...changes };
    this.#show(this.state);
  }

  #end(changes, told = null) {
    this.#leave();
    this.#set({ endedAt: this.#now(), ...changes, isConnected: true, isCancelling: false, position: null });
    this.#tell(this.state.phase, told ?? { problem: this.state.problem });
  }

  #now() {
    return Date.now() + this.#service.skewMs;
  }
}
