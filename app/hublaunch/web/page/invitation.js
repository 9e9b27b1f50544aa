// The invitation whose link this tab opened. Its code is in the link's fragment, and then in this tab's storage.

import { session } from "../element/storage.js";

const NAME = "hublaunch invitation";
const CODE = /^hli_[\w-]{1,200}$/;
const NO_CODE = "hli_broken"; // the service says that it knows no such invitation

/** Take the code out of the address bar, and keep it in this tab. Return whether there was one. */
export function takeInvitation() {
  const code = new URLSearchParams(location.hash.slice(1)).get("invitation");
  if (code === null) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  // Nothing else goes into the header: a link must not log its visitors in with its author's token.
  session.setItem(NAME, CODE.test(code) ? code : NO_CODE);
  return true;
}

/** The code of the invitation; `""` without one. */
export function invitation() {
  return session.getItem(NAME) ?? "";
}

export function leaveInvitation() {
  session.removeItem(NAME);
}
