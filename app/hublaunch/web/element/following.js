// Follows a launch by its events, through sleep, lost connections and restarts of the service.

import { pauseMs } from "./patience.js";
import { Refused, Unreachable } from "./service.js";

const HEARTBEAT_MS = 15_000;
const SILENT_MS = 2.5 * HEARTBEAT_MS;

/**
 * Reports the news of a launch to `on`, from its first event:
 *
 *   on.event(event)      a stored event; a repeated one replaces the event with its `seq` and all later ones
 *   on.position(place)   its position in the queue
 *   on.connection(is)    whether the service answers
 *   on.ended(launch)     the launch, if its last event was missed
 *   on.refused(problem)  the launch does not exist, or has expired
 */
export class Following {
  #service;
  #id;
  #secret;
  #on;
  #source = null;
  #after = 0;
  #heardAt = 0;
  #failures = 0;
  #pause = 0;
  #watch = 0;
  #closing = new AbortController();

  constructor({ service, id, secret, on }) {
    this.#service = service;
    this.#id = id;
    this.#secret = secret;
    this.#on = on;
    const { signal } = this.#closing;
    window.addEventListener("online", () => this.#wake(), { signal });
    window.addEventListener("offline", () => this.#connect(), { signal }); // a service on this machine still answers
    window.addEventListener("pageshow", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake(), { signal });
    this.#watch = setInterval(() => this.#silence() > SILENT_MS && this.#connect(), HEARTBEAT_MS / 3);
    this.#connect();
  }

  close() {
    this.#closing.abort();
    this.#source?.close();
    clearInterval(this.#watch);
    clearTimeout(this.#pause);
  }

  #silence() {
    return Date.now() - this.#heardAt;
  }

  /** The machine slept or was offline: a connection that looks open may be long dead. */
  #wake() {
    if (this.#source.readyState !== EventSource.OPEN || this.#silence() > HEARTBEAT_MS) this.#connect();
  }

  #connect() {
    this.#source?.close();
    clearTimeout(this.#pause);
    this.#heardAt = Date.now();
    const source = this.#service.events(this.#id, { secret: this.#secret, after: this.#after });
    this.#source = source;
    source.onopen = () => this.#heard();
    source.onmessage = ({ data }) => {
      this.#heard();
      const event = JSON.parse(data);
      this.#after = event.seq;
      this.#on.event(event);
    };
    source.addEventListener("heartbeat", () => this.#heard());
    source.addEventListener("position", ({ data }) => {
      this.#heard();
      this.#on.position(JSON.parse(data));
    });
    source.onerror = () => {
      this.#on.connection(false);
      // The browser reconnects by itself, unless the answer was an error status, which it does not reveal.
      if (source.readyState === EventSource.CLOSED) this.#look();
    };
  }

  #heard() {
    this.#heardAt = Date.now();
    this.#failures = 0;
    this.#on.connection(true);
  }

  /**
   * Ask for the launch, because a closed stream does not say why it closed. `isBack`: whether an answer means that the
   * service is back.
   */
  async #look({ isBack = false } = {}) {
    const { signal } = this.#closing;
    try {
      const launch = await this.#service.get(this.#id, { secret: this.#secret, signal });
      if (signal.aborted) return;
      if (launch.ended_at) this.#on.ended(launch);
      else if (isBack) this.#connect();
      else this.#later(() => this.#connect()); // the stream alone is refused, as by a proxy
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) this.#on.refused(error.problem);
      else if (error instanceof Unreachable) this.#later(() => this.#look({ isBack: true }));
      else throw error;
    }
  }

  #later(next) {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(next, pauseMs(this.#failures++));
  }
}
