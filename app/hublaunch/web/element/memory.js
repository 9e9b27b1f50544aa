// What this browser remembers of a launch, so that no click, reload, back button or second tab makes a second one.
//
// One entry of localStorage for each service, image, repository and path:
//
//   {key, at, isAnother}   asked for with this Idempotency-Key, beside an earlier one or not; not answered yet
//   {…, id, secret}        under way
//   {…, endedAt}           ready since then
//
// An entry without an answer is kept for 15 minutes, one of a launch under way for a day, one of a ready launch for
// 15 minutes more. What has failed or was cancelled is forgotten at once.

import { alone, announce, announced } from "./claim.js";
import { local } from "./storage.js";

const PREFIX = "hub-launch ";
const ASKED_MS = 15 * 60_000;
const UNDER_WAY_MS = 24 * 60 * 60_000;
const READY_MS = 15 * 60_000;

export class Memory {
  #name;
  #endAnnouncement = () => {};

  /** `service` is the service's address; `target` has image, repoUrl and path. */
  constructor(service, { image, repoUrl, path }) {
    this.#name = PREFIX + JSON.stringify([String(service), image, repoUrl, path]);
  }

  get name() {
    return this.#name;
  }

  /** The entry; null if there is none, or none any more. */
  kept() {
    return read(this.#name);
  }

  /**
   * The entry, or a new one with a key of its own. `instead` is the key of a launch that another one is wanted for:
   * unless another tab has asked for that one already, there will be a new key.
   *
   * Where the browser has locks, tabs that are clicked at the same moment get the same key.
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

  /** Note what has become of an entry, unless there is another one by now. */
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

/** Forget every launch, as when somebody else sits down at this browser. */
export function forgetLaunches() {
  for (const name of names()) local.removeItem(name);
}

/** Forget what is too old, whichever page it is from. */
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
    // It is not ours, and of no use.
  }
  if (entry !== null && typeof entry?.key === "string" && isFresh(entry)) return entry;
  local.removeItem(name);
  return null;
}

function isFresh({ at, id, endedAt }) {
  if (endedAt) return Date.now() - endedAt < READY_MS;
  return Date.now() - at < (id ? UNDER_WAY_MS : ASKED_MS);
}

/** 256 random bits. For an anonymous caller the key is all that shows whose launch it is. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
