// The button that stops a launch in a list, and the question that it asks first.

import { ask } from "./account.js";
import { asking } from "./question.js";

const ACTIVE = new Set(["waiting", "launching", "ready"]);
const PAUSE_MS = 1000;

/** Whether this browser may stop the launch: as its known caller, or with its secret. */
export function mayStop({ status, secret }, { isKnown }) {
  return ACTIVE.has(status) && (isKnown || secret !== undefined);
}

/** Return the button. `stopped()` is called once nothing is left at the Hub. */
export function stopper(launch, { name, stopped }) {
  const isReady = launch.status === "ready";
  const verb = isReady ? "Stop" : "Cancel";
  return asking({
    verb,
    label: `${verb} ${name}`,
    question: isReady ? `Stop this server?${launch.is_temporary ? " Its files will be deleted." : ""}` : "Cancel this launch?",
    keep: isReady ? "Keep it" : "Keep waiting",
    confirm: `${verb} it`,
    doing: isReady ? "Stopping…" : "Cancelling…",
    failed: "This did not work. Open the launch to see why.",
    act: async () => {
      const isDone = await isStopped(launch);
      if (isDone) await stopped();
      return isDone;
    },
  });
}

/** Ask the service until the Hub has confirmed. Return false if it refuses or does not answer. */
async function isStopped({ id, secret, code }) {
  for (;;) {
    const answer = await ask(`launch/${id}`, { method: "DELETE", secret, code }).catch(() => null);
    if (answer?.status === 204) return true;
    if (answer?.status !== 202) return false;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
