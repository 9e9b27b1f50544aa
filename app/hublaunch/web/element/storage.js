// localStorage and sessionStorage, and a replacement where the browser denies them or has no room left.

const PROBE = "hub-launch probe";

/** The part of `Storage` that we use, in the memory of this page. Entries are own properties, as in `Storage`. */
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

function storage(kind) {
  try {
    const found = globalThis[kind];
    found.setItem(PROBE, ""); // storage that takes nothing fails here, not in the middle of a launch
    found.removeItem(PROBE);
    return found;
  } catch {
    return new PageStorage();
  }
}

export const local = storage("localStorage");
export const session = storage("sessionStorage");

/** Whether other pages of this origin find the entries of `local`. */
export const isShared = !(local instanceof PageStorage);
