// One launch as a browser sees it, from the click to its end. It knows no element and no page.

import { Following, pauseMs } from "./launch-following.js";
import { Refused, Unreachable } from "./launch-service.js";

const GIVE_UP_MS = 60_000;
const CANCEL_PAUSE_MS = 1000;
const STANDING = new Set(["waiting", "launching", "ready"]);
const UNDER_WAY = new Set(["asking", "resuming", "waiting", "launching"]);

/** What is shown of a launch. Instants are milliseconds by the service's clock. */
export const IDLE = Object.freeze({
  /** idle, asking, resuming, waiting, launching, ready, failed, cancelled or stopped */
  phase: "idle",
  id: null,
  message: "",
  progress: 0,
  attempt: 1,
  position: null,
  startedAt: null,
  endedAt: null,
  isConnected: true,
  isCancelling: false,
  /** Whether who looks may cancel it and enter its server. */
  isOwn: false,
  problem: null,
  openUrl: null,
  events: [],
});

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
  #calls = new AbortController();

  /**
   * `show(state)` is called at every change, `tell(name, detail)` with launch, progress, ready, failed, cancelled and
   * stopped.
   * Without an image in `target` nothing can be launched, only watched.
   */
  constructor({ service, memory, target, show, tell }) {
    this.#service = service;
    this.#memory = memory;
    this.#target = target;
    this.#show = show;
    this.#tell = tell;
  }

  get isUnderWay() {
    return UNDER_WAY.has(this.state.phase);
  }

  /** Stop looking at the launch, which goes on. */
  close() {
    this.#calls.abort();
    this.#following?.close();
  }

  /** Ask for a launch, or go on with the one that this browser has asked for; `another` makes a new one. */
  async launch({ another = false } = {}) {
    if (this.isUnderWay && this.state.phase !== "resuming") return;
    const instead = another ? this.#entry?.key : undefined;
    this.#begin({ phase: "asking", startedAt: this.#now(), isOwn: true });
    const { signal } = this.#calls;
    const entry = await this.#memory.claim({ instead });
    if (signal.aborted) return;
    if (!entry.id) {
      await this.#ask(entry);
      return;
    }
    const launch = await this.#get(entry.id, entry.secret);
    if (launch === null) return;
    if (STANDING.has(launch.status)) {
      this.#entry = entry;
      this.#tell("launch", { ...launch, secret: entry.secret });
      this.#follow(launch, entry.secret);
    } else {
      await this.#ask(await this.#memory.claim({ instead: entry.key }));
    }
  }

  /** Go on with what this browser has asked for, if there is something. */
  async resume() {
    const entry = this.#memory.kept();
    if (this.isUnderWay || !entry || entry.isPaused) return;
    this.#begin({ phase: "resuming", startedAt: entry.at, isOwn: true });
    if (!entry.id) {
      await this.#ask(entry);
      return;
    }
    this.#entry = entry;
    const launch = await this.#get(entry.id, entry.secret);
    if (launch?.status === "refused") {
      this.#memory.forget(entry.key);
      this.#begin(IDLE);
    } else if (launch) {
      this.#take(launch, entry.secret);
    }
  }

  /** Look at a launch, wherever it was asked for. */
  async watch(id, secret) {
    const entry = this.#memory.kept();
    this.#begin({ phase: "resuming", id });
    this.#entry = entry?.id === id ? entry : null;
    const key = secret ?? this.#entry?.secret;
    const launch = await this.#get(id, key);
    if (launch?.status === "refused") this.#refused(launch.problem);
    else if (launch) this.#take(launch, key);
  }

  async cancel() {
    if (!this.isUnderWay || this.state.isCancelling) return;
    if (this.state.id) {
      this.#set({ isCancelling: true });
      await this.#cancelUntilOver();
    } else if (this.state.isConnected) {
      this.#set({ isCancelling: true }); // whether there is something to cancel will be known with the answer
    } else {
      this.#memory.keep({ ...this.#entry, isPaused: true });
      this.#begin(IDLE);
    }
  }

  // --- asking -------------------------------------------------------------------------------------------------------

  async #ask(entry) {
    this.#entry = { key: entry.key, at: entry.at };
    this.#memory.keep(this.#entry);
    const { signal } = this.#calls;
    const begunAt = Date.now();
    for (let failures = 0; ; failures++) {
      try {
        this.#accepted(await this.#service.launch(this.#target, { key: entry.key, signal }));
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused) {
          this.#memory.forget(entry.key);
          this.#end({ phase: "failed", problem: error.problem, openUrl: webUrl(error.problem.url) });
          return;
        }
        if (!(error instanceof Unreachable)) throw error;
      }
      if (navigator.onLine && Date.now() - begunAt > GIVE_UP_MS) {
        // The key is kept, as the service may have acted.
        this.#memory.keep({ ...this.#entry, isPaused: true });
        this.#end({ phase: "failed", problem: { code: "unreachable" } });
        return;
      }
      this.#set({ isConnected: false });
      await pause(pauseMs(failures), signal);
      if (signal.aborted) return;
    }
  }

  #accepted(launch) {
    this.#entry = { ...this.#entry, id: launch.id, secret: launch.secret };
    this.#memory.keep(this.#entry);
    if (!this.state.isCancelling) this.#tell("launch", launch);
    this.#follow(launch, launch.secret);
    if (this.state.isCancelling) this.#cancelUntilOver();
  }

  // --- watching -----------------------------------------------------------------------------------------------------

  /** The launch as it stands, however long it takes to reach the service; null if that is wanted no more. */
  async #get(id, secret) {
    const { signal } = this.#calls;
    for (let failures = 0; ; failures++) {
      try {
        return await this.#service.get(id, { secret, signal });
      } catch (error) {
        if (signal.aborted) return null;
        if (error instanceof Refused) return { status: "refused", problem: error.problem };
        if (!(error instanceof Unreachable)) throw error;
      }
      this.#set({ isConnected: false });
      await pause(pauseMs(failures), signal);
      if (signal.aborted) return null;
    }
  }

  #take(launch, secret) {
    if (launch.status === "stopped") this.#stopped(launch);
    else this.#follow(launch, secret);
  }

  #follow(launch, secret) {
    if (this.#calls.signal.aborted) return; // the page went elsewhere when it was told of the launch
    this.#secret = secret;
    const startedAt = Date.parse(launch.created_at);
    this.#set({ id: launch.id, startedAt, isConnected: true, isOwn: "image" in launch });
    this.#following = new Following({
      service: this.#service,
      id: launch.id,
      secret,
      on: {
        event: (event) => this.#event(event),
        position: (position) => this.#set({ position }),
        connection: (isConnected) => isConnected !== this.state.isConnected && this.#set({ isConnected }),
        ended: (missed) => (missed.status === "stopped" ? this.#stopped(missed) : this.#event(missed)),
        refused: (problem) => this.#refused(problem),
      },
    });
  }

  /** An event, or a launch whose last event was missed. */
  #event(told) {
    const { phase, message, progress, attempt } = told;
    if (told.seq) this.#set({ events: [...this.state.events.filter(({ seq }) => seq < told.seq), told] });
    if (phase === "waiting" || phase === "launching") {
      const position = phase === "waiting" ? this.state.position : null;
      this.#set({ phase, message, progress, attempt, position });
      this.#tell("progress", told);
    } else if (phase !== "ready" || !this.state.isCancelling) {
      this.#remember(phase);
      const at = told.at ?? told.ended_at;
      const endedAt = at ? Date.parse(at) : this.#now();
      const openUrl = webUrl(told.open_url);
      this.#end({ phase, message, progress, attempt, endedAt, openUrl, problem: told.problem ?? null }, told);
    }
  }

  #stopped(launch) {
    this.#remember("stopped");
    this.#begin({ phase: "stopped", id: launch.id, isOwn: "image" in launch, startedAt: Date.parse(launch.created_at) });
    this.#tell("stopped", launch);
  }

  #refused(problem) {
    if (this.#entry) this.#memory.forget(this.#entry.key);
    this.#end({ phase: "failed", problem });
  }

  #remember(phase) {
    if (!this.#entry) return;
    if (phase === "ready") {
      this.#entry = { endedAt: Date.now(), ...this.#entry };
      this.#memory.keep(this.#entry);
    } else {
      this.#memory.forget(this.#entry.key);
    }
  }

  // --- cancelling ---------------------------------------------------------------------------------------------------

  async #cancelUntilOver() {
    const { signal } = this.#calls;
    for (let failures = 0; ; ) {
      let wait = CANCEL_PAUSE_MS;
      try {
        if ((await this.#service.cancel(this.state.id, { secret: this.#secret, signal })) === null) break;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused) {
          this.#set({ isCancelling: false });
          return;
        }
        if (!(error instanceof Unreachable)) throw error;
        wait = pauseMs(failures++);
      }
      await pause(wait, signal);
      if (signal.aborted || !this.isUnderWay) return;
    }
    if (this.isUnderWay) this.#event({ phase: "cancelled", message: "", progress: this.state.progress });
  }

  // --- the state ----------------------------------------------------------------------------------------------------

  #begin(state) {
    this.#following?.close();
    this.#calls.abort();
    this.#calls = new AbortController();
    this.state = IDLE;
    this.#set(state);
  }

  #set(changes) {
    this.state = { ...this.state, ...changes };
    this.#show(this.state);
  }

  #end(changes, told = null) {
    this.#following?.close();
    this.#set({ endedAt: this.#now(), ...changes, isConnected: true, isCancelling: false, position: null });
    this.#tell(this.state.phase, told ?? { problem: this.state.problem });
  }

  #now() {
    return Date.now() + this.#service.skewMs;
  }
}

/** The address, if it is one that a browser may be sent to. */
function webUrl(text) {
  return /^https?:\/\//i.test(text ?? "") ? text : null;
}

/** Return after so many milliseconds, once the machine is online again, or when `signal` says so. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}
