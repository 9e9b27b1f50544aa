// The launches made on these pages, in this browser's memory: the last ten, for a day.
//
// Each keeps its secret, which gives access to the server, until the launch is known to have ended.

import { local } from "../element/storage.js";

const NAME = "hublaunch recent";
const MOST = 10;
const KEPT_MS = 24 * 60 * 60_000;

export class Recent {
  /** `{id, secret, image, environment, size, repoUrl, repoRef, path, isInvited, at}`, the newest first. */
  all() {
    let kept = [];
    try {
      kept = JSON.parse(local.getItem(NAME)) ?? [];
    } catch {
      // The entry is not ours.
    }
    const fresh = kept.filter(({ at }) => Date.now() - at < KEPT_MS);
    if (fresh.length !== kept.length) this.#write(fresh);
    return fresh;
  }

  find(id) {
    return this.all().find((launch) => launch.id === id);
  }

  add(launch) {
    this.#write([launch, ...this.all().filter(({ id }) => id !== launch.id)].slice(0, MOST));
  }

  /** The launch has ended: its secret opens nothing. */
  forgetSecret(id) {
    this.#write(this.all().map((launch) => (launch.id === id ? { ...launch, secret: undefined } : launch)));
  }

  remove(id) {
    this.#write(this.all().filter((launch) => launch.id !== id));
  }

  clear() {
    local.removeItem(NAME);
  }

  #write(launches) {
    local.setItem(NAME, JSON.stringify(launches));
  }
}
