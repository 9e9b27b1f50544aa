// The session of a ready server: how long it runs, and how a visitor ends or extends it. The stream of events has
// ended by then, so the service is asked now and then.

import { randomKey } from "./memory.js";
import { pause, untilReached } from "./patience.js";
import { Refused, Unreachable } from "./service.js";

const EVERY_MS = 60_000;
const OVERDUE_MS = 5000;
const STOP_PAUSE_MS = 1000;
const STEP_S = 3600;
const LEAST_S = 60;

/** The seconds by which a click extends a session: an hour, or as many as are still allowed; 0 for none. */
export function extensionOf({ endsAt, extendableUntil }) {
  if (endsAt === null || extendableUntil === null) return 0;
  const seconds = Math.min(STEP_S, Math.floor((extendableUntil - endsAt) / 1000));
  return seconds < LEAST_S ? 0 : seconds;
}

/**
 * Asks for the launch immediately, every minute while the page is visible, and at the end of its session:
 *
 *   on.state(changes)    changes to the visible state (state.js)
 *   on.stopped(launch)   the server has stopped
 */
export class Session {
  #service;
  #id;
  #secret;
  #now;
  #on;
  #state = { endsAt: null, extendableUntil: null };
  #isChanging = false;
  #askedAt = 0;
  #timer = 0;
  #closing = new AbortController();

  /** `now()` returns the service's time. */
  constructor({ service, id, secret, now, on }) {
    this.#service = service;
    this.#id = id;
    this.#secret = secret;
    this.#now = now;
    this.#on = on;
    const { signal } = this.#closing;
    document.addEventListener("visibilitychange", () => this.#hasComeBack(), { signal });
    this.#ask();
  }

  close() {
    this.#closing.abort();
    clearTimeout(this.#timer);
  }

  /** Stop the server. */
  async stop() {
    await this.#change("isStopping", async (options) => {
      while (await this.#service.cancel(this.#id, options)) await pause(STOP_PAUSE_MS, options.signal);
    });
  }

  /** Let the server run longer, as far as the operator allows. */
  async extend() {
    const seconds = extensionOf(this.#state);
    const key = randomKey();
    if (seconds > 0) await this.#change("isExtending", (options) => this.#service.extend(this.#id, { seconds, key, ...options }));
  }

  /** Make a change, repeated until the service answers, and show what has become of the server. */
  async #change(name, change) {
    if (this.#isChanging) return;
    this.#isChanging = true;
    this.#on.state({ [name]: true, sessionProblem: null });
    let sessionProblem = null;
    try {
      await this.#reached(change);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      sessionProblem = error.problem;
    }
    await this.#ask();
    this.#isChanging = false;
    if (!this.#closing.signal.aborted) this.#on.state({ [name]: false, sessionProblem });
  }

  #reached(call) {
    const options = { signal: this.#closing.signal, lost: () => this.#on.state({ isConnected: false }) };
    return untilReached((signal) => call({ secret: this.#secret, signal }), options);
  }

  async #ask() {
    const { signal } = this.#closing;
    clearTimeout(this.#timer);
    this.#askedAt = Date.now();
    try {
      const launch = await this.#service.get(this.#id, { secret: this.#secret, signal });
      if (!signal.aborted) this.#take(launch);
    } catch (error) {
      if (signal.aborted || error instanceof Refused) return; // hidden, as after a logout
      if (!(error instanceof Unreachable)) throw error;
    }
    if (!signal.aborted) this.#later();
  }

  #take(launch) {
    if (launch.status !== "ready") {
      this.#on.stopped(launch);
      return;
    }
    const instant = (text) => (text ? Date.parse(text) : null);
    this.#state = { endsAt: instant(launch.will_end_at), extendableUntil: instant(launch.extendable_until) };
    this.#on.state({ ...this.#state, isTemporary: launch.is_temporary ?? false, isConnected: true });
  }

  #later() {
    const left = this.#state.endsAt === null ? EVERY_MS : this.#state.endsAt - this.#now() + 1000;
    const wait = Math.min(EVERY_MS, Math.max(OVERDUE_MS, left));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (document.hidden ? this.#later() : this.#ask()), wait);
  }

  #hasComeBack() {
    if (!document.hidden && Date.now() - this.#askedAt > OVERDUE_MS) this.#ask();
  }
}
