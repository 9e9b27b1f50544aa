// This browser's memory of a launch, so that no click, reload, back button or second tab starts a second launch.
//
// One entry of localStorage for each service, image or environment, size, repository, path and ref:
//
//   {key, at, isAnother}   requested with this Idempotency-Key, no answer yet; `isAnother`: a further launch
//   {…, isPaused}          no clear answer came: a click asks again, a reload does not
//   {…, id, secret}        in progress
//   {…, endedAt}           ready since then
//
// An entry without an answer is kept for 15 minutes, the entry of a launch in progress for a day, and that of a ready
// launch for another 15 minutes. A failed or cancelled launch is forgotten immediately.

import { alone, announce, announced } from "./claim.js";
import { local } from "./storage.js";

const PREFIX = "hub-launch ";
const ASKED_MS = 15 * 60_000;
const IN_PROGRESS_MS = 24 * 60 * 60_000;
const READY_MS = 15 * 60_000;

export class Memory {
  #name;
  #endAnnouncement = () => {};

  /** `service` is the service's address. */
  constructor(service, { image, environment, size, repoUrl, repoRef, path }) {
    const more = [repoRef, environment && { environment, size }].filter(Boolean);
    this.#name = PREFIX + JSON.stringify([String(service), image, repoUrl, path, ...more]);
  }

  get name() {
    return this.#name;
  }

  /** The entry, or null. */
  kept() {
    return read(this.#name);
  }

  /**
   * Return the entry, or a new one with its own key. `instead` is the key of a launch to replace: the entry then gets a
   * new key, unless another tab has already requested the replacement.
   *
   * Where the browser has locks, two tabs clicked at the same moment get the same key.
   */
  async claim({ instead } = {}) {
    return await alone(this.#name, async () => {
      sweep();
      const known = [this.kept(), ...(await announced(this.#name))];
      const found = known.find((entry) => entry && entry.key !== instead);
      if (found) return found;
      const made = { key: randomKey(), at: Date.now(), isAnother: instead !== undefined };
      this.#write(made);
      this.#endAnnouncement();
      this.#endAnnouncement = await announce(this.#name, made);
      return made;
    });
  }

  /** Store the new state of an entry, unless it has been replaced. */
  keep(entry) {
    if (this.kept()?.key === entry.key) this.#write(entry);
  }

  forget(key) {
    if (this.kept()?.key !== key) return;
    local.removeItem(this.#name);
    this.#endAnnouncement();
  }

  #write(entry) {
    local.setItem(this.#name, JSON.stringify(entry));
  }
}

/** Forget every launch, as when another person uses this browser. */
export function forgetLaunches() {
  for (const name of names()) local.removeItem(name);
}

/** Forget entries that are too old, whichever page they are from. */
function sweep() {
  for (const name of names()) read(name);
}

function names() {
  return Object.keys(local).filter((name) => name.startsWith(PREFIX));
}

function read(name) {
  let entry = null;
  try {
    entry = JSON.parse(local.getItem(name));
  } catch {
    // The entry is not ours.
  }
  if (entry !== null && typeof entry?.key === "string" && isFresh(entry)) return entry;
  local.removeItem(name);
  return null;
}

function isFresh({ at, id, endedAt }) {
  if (endedAt) return Date.now() - endedAt < READY_MS;
  return Date.now() - at < (id ? IN_PROGRESS_MS : ASKED_MS);
}

/** 256 random bits. An anonymous caller has only the key to show that a launch is theirs. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
