// Repeats a call until the service answers.

import { Refused, Unreachable } from "./service.js";

const PAUSE_MAX_MS = 5000;
/** The code of the element's own problem: the service answers, but not to pages of this origin. */
export const ORIGIN_NOT_ALLOWED = "origin_not_allowed";

/**
 * Return the result of `call(signal)`, repeated until the service is reached; undefined once `signal` is aborted.
 *
 * Throws Refused, and Unreachable after `giveUpMs` without an answer while online. Calls `lost()` after each attempt
 * without an answer, and then `refusesOrigin(signal)`: if it says so twice in a row, the service refuses this page.
 */
export async function untilReached(call, { signal, lost, refusesOrigin, giveUpMs = Infinity }) {
  const begunAt = Date.now();
  let refusals = 0;
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      return await call(signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      const isOver = navigator.onLine && Date.now() - begunAt > giveUpMs;
      if (!(error instanceof Unreachable) || isOver) throw error;
    }
    refusals = (await refusesOrigin(signal)) ? refusals + 1 : 0;
    if (refusals === 2) throw new Refused({ code: ORIGIN_NOT_ALLOWED });
    lost();
    await pause(pauseMs(failures), signal);
  }
  return undefined;
}

/** Doubled each time and randomized, so that browsers do not all come back at the same moment. */
export function pauseMs(failures) {
  return Math.min(PAUSE_MAX_MS, 500 * 2 ** failures) * (0.75 + Math.random() / 2);
}

/** Return after this many milliseconds, once the machine is online again, or when `signal` is aborted. */
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
