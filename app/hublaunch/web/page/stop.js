// The button that stops a launch in the list, and the question that it asks first.

import { ask, element } from "./account.js";

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
  const place = element("div", { className: "stop" });
  const plain = action(verb, () => open());
  plain.setAttribute("aria-label", `${verb} ${name}`);

  const close = () => {
    place.replaceChildren(plain);
    plain.focus();
  };
  const open = () => {
    const question = isReady ? `Stop this server?${launch.is_temporary ? " Its files will be deleted." : ""}` : "Cancel this launch?";
    const keep = action(isReady ? "Keep it" : "Keep waiting", close);
    const group = element("div", { className: "question" }, element("span", { textContent: question }), keep, action(`${verb} it`, stop));
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", question);
    group.addEventListener("keydown", ({ key }) => key === "Escape" && close());
    place.replaceChildren(group);
    keep.focus();
  };
  const stop = async () => {
    const note = element("span", { textContent: isReady ? "Stopping…" : "Cancelling…" });
    note.setAttribute("role", "status");
    place.replaceChildren(note);
    if (await isStopped(launch)) await stopped();
    else note.textContent = "This did not work. Open the launch to see why.";
  };
  place.append(plain);
  return place;
}

function action(textContent, act) {
  const made = element("button", { type: "button", className: "link", textContent });
  made.addEventListener("click", act);
  return made;
}

/** Ask the service until the Hub has confirmed. Return false if it refuses or does not answer. */
async function isStopped({ id, secret }) {
  for (;;) {
    const answer = await ask(`launch/${id}`, { method: "DELETE", secret }).catch(() => null);
    if (answer?.status === 204) return true;
    if (answer?.status !== 202) return false;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
