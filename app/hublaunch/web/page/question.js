// A button that asks before it acts.

import { element } from "./account.js";

/**
 * Return the button in its place, where the question replaces it.
 *
 * `verb`: the button's text; `label`: its name for screen readers. `keep` and `confirm`: the texts of the two answers.
 * `act()` returns whether it worked; `doing` is shown meanwhile, and `failed` if it did not work.
 */
export function asking({ verb, label, question, keep, confirm, doing, failed, act }) {
  const place = element("div", { className: "stop" });
  const plain = button(verb, () => open());
  plain.setAttribute("aria-label", label);

  const close = () => {
    place.replaceChildren(plain);
    plain.focus();
  };
  const open = () => {
    const no = button(keep, close);
    const group = element("div", { className: "question" }, element("span", { textContent: question }), no, button(confirm, run));
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", question);
    group.addEventListener("keydown", ({ key }) => key === "Escape" && close());
    place.replaceChildren(group);
    no.focus();
  };
  const run = async () => {
    const note = element("span", { textContent: doing });
    note.setAttribute("role", "status");
    note.tabIndex = -1; // keeps the place of somebody who uses the keyboard
    place.replaceChildren(note);
    note.focus();
    if (!(await act())) note.textContent = failed;
  };
  place.append(plain);
  return place;
}

function button(textContent, act) {
  const made = element("button", { type: "button", className: "link", textContent });
  made.addEventListener("click", act);
  return made;
}
