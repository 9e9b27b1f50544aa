// The visitor's account, shown at the top of every page.

import { forgetLaunches } from "../element/memory.js";
import { local } from "../element/storage.js";
import { TEXTS, adviceOn } from "../element/texts.js";
import { invitation, leaveInvitation } from "./invitation.js";

const TIMEOUT_MS = 30_000;
const VISITOR = "hublaunch visitor";

/** The base URL of the service, from any of its pages. */
export const SERVICE = new URL("../..", import.meta.url);

/** An element with its properties. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/**
 * Return the service's answer, never from a cache; with `code`, the answer to the holder of that invitation or link.
 *
 * Throws a TypeError or a DOMException if none arrives in time.
 */
export function ask(path, { method = "GET", secret, code, json } = {}) {
  const headers = secret ? { "X-Launch-Secret": secret } : {};
  if (code) headers.Authorization = `Bearer ${code}`;
  if (json) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return fetch(new URL(path, SERVICE), { method, headers, body: JSON.stringify(json), signal, cache: "no-store" });
}

/** The login URL that leads back to this page. */
export function loginUrl() {
  const url = new URL("oauth_login", SERVICE);
  url.searchParams.set("next", location.pathname + location.search);
  return url.href;
}

/** Return the answer to `GET /session`, or a problem. */
async function asked() {
  const code = invitation();
  try {
    let answer = await ask("session", { code });
    if (answer.status === 401 && !code) {
      // This login is no longer valid, as after a logout at the Hub.
      await ask("session", { method: "DELETE" });
      answer = await ask("session");
    }
    const told = await answer.json();
    if (answer.ok) return told;
    const advice = adviceOn(told, TEXTS);
    return { problem: { ...told, advice: code ? `${told.detail} ${advice}` : advice } };
  } catch {
    return { problem: { title: TEXTS.unreachable, advice: TEXTS.unreachableAdvice } };
  }
}

/**
 * Show the session in `place` and return it, or a problem.
 *
 * Remembered launches belong to the visitor who launched them. When another visitor is logged in, or nobody is, they
 * are forgotten, and `isAnother` is true. The holder of an invitation is nobody in this sense.
 */
export async function account(place, { recent }) {
  place.replaceChildren(); // a page from the bfcache may still show somebody else
  const told = await asked();
  if (told.problem) {
    if (invitation()) place.replaceChildren(leaver());
    return told;
  }
  const visitor = told.kind === "invitation" ? "" : (told.name ?? "");
  const before = local.getItem(VISITOR);
  const isAnother = before !== null && before !== visitor;
  if (isAnother) {
    forgetLaunches();
    recent.clear();
  }
  local.setItem(VISITOR, visitor);
  show(place, told);
  return { ...told, isAnother };
}

/** The button with which the visitor goes on without the invitation. */
function leaver() {
  const leave = element("button", { type: "button", className: "link", textContent: "Leave" });
  leave.setAttribute("aria-label", "Leave the invitation");
  leave.addEventListener("click", () => {
    leaveInvitation();
    location.assign(SERVICE);
  });
  return leave;
}

function show(place, session) {
  if (session.kind === "invitation") {
    place.replaceChildren(element("span", { textContent: session.name }), leaver());
  } else if (session.kind !== "anonymous") {
    const leave = element("button", { type: "button", className: "link", textContent: "Log out" });
    leave.addEventListener("click", async () => {
      const answer = await ask("session", { method: "DELETE" }).catch(() => null);
      if (answer?.ok) location.assign(SERVICE);
      else leave.textContent = "Could not log out. Try again.";
    });
    place.replaceChildren(element("span", { textContent: session.name }), leave);
  } else if (session.access.includes("hub")) {
    place.replaceChildren(element("a", { href: loginUrl(), textContent: "Log in" }));
  }
}
