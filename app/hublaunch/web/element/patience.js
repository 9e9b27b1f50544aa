// Asking again, for as long as it takes.

import { Unreachable } from "./service.js";

const PAUSE_MAX_MS = 5000;

/**
 * What `call(signal)` answers, made again until the service is reached; undefined once `signal` says that nobody waits.
 *
 * What else goes wrong is thrown: a Refused, and after `giveUpMs` without an answer, while online, the Unreachable.
 * `lost()` is told of each time that there was none.
 */
export async function untilReached(call, { signal, lost, giveUpMs = Infinity }) {
  const begunAt = Date.now();
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      return await call(signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      const isOver = navigator.onLine && Date.now() - begunAt > giveUpMs;
      if (!(error instanceof Unreachable) || isOver) throw error;
    }
    lost();
    await pause(pauseMs(failures), signal);
  }
  return undefined;
}

/** Doubled each time, with a chance in it, so that not all browsers come back at the same moment. */
export function pauseMs(failures) {
  return Math.min(PAUSE_MAX_MS, 500 * 2 ** failures) * (0.75 + Math.random() / 2);
}

/** Return after so many milliseconds, once the machine is online again, or when `signal` says so. */
export function pause(milliseconds, signal) {
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
