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

const PREFIX = "hub-launch ";
const ASKED_MS = 15 * 60_000;
const UNDER_WAY_MS = 24 * 60 * 60_000;
const READY_MS = 15 * 60_000;

/** localStorage and sessionStorage where a page may use them; elsewhere nothing outlives the page. */
export const local = storage("localStorage");
export const session = storage("sessionStorage");

export class Memory {
  #name;

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
   * Under a lock, so that two tabs never make two keys; the request itself needs none, as it may be sent twice.
   */
  async claim({ instead } = {}) {
    return await locked(this.#name, () => {
      sweep();
      const kept = this.kept();
      if (kept && kept.key !== instead) return kept;
      const made = { key: randomKey(), at: Date.now(), isAnother: instead !== undefined };
      local.setItem(this.#name, JSON.stringify(made));
      return made;
    });
  }

  /** Note what has become of an entry, unless there is another one by now. */
  keep(entry) {
    if (this.kept()?.key === entry.key) local.setItem(this.#name, JSON.stringify(entry));
  }

  forget(key) {
    if (this.kept()?.key === key) local.removeItem(this.#name);
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

/** Browsers have locks on secure pages only; elsewhere two tabs would have to be clicked within the same millisecond. */
function locked(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

function storage(kind) {
  try {
    const found = globalThis[kind];
    found.getItem("");
    return found;
  } catch {
    return new PageStorage();
  }
}

/** The part of `Storage` that is used here. The entries are its own properties, as they are `Storage`'s. */
class PageStorage {
  getItem(name) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }

  setItem(name, value) {
    this[name] = value;
  }

  removeItem(name) {
    delete this[name];
  }
}
