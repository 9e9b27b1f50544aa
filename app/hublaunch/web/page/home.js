// The page at `/`: what a link asks to launch, or a form, and recent launches.

import "../hub-launch.js";
import { isShared } from "../element/storage.js";
import { SERVICE, account, ask, element, loginUrl } from "./account.js";
import { Choices } from "./choices.js";
import { invitation, takeInvitation } from "./invitation.js";
import { Recent } from "./recent.js";
import { breakable, factsOf, nameOf, showLaunches, viewUrl } from "./launches.js";

const FIELDS = ["image", "repo_url", "ref", "path"];
const WILDCARD = /[*?[]/;
const CHIPS = 6;
const REFUSED = ["unauthenticated", "invitation_unknown", "invitation_ended"];
const TITLE = document.title;
const find = (id) => document.getElementById(id);
const recent = new Recent();
const query = new URLSearchParams(location.search);
const choices = new Choices({
  changed: () => {
    hasChosen = true;
    share();
  },
});
let hasChosen = false;
let isOffered = false; // a link asks for a launch, and the visitor has not chosen to change it
let invited = null; // the visitor's invitation, as the service shows it

/** The values of the form. */
function asked() {
  const [image, repoUrl, repoRef, path] = FIELDS.map((name) => find(name).value.trim());
  const { environment, size } = choices.names;
  return { image: environment ? "" : image, environment, size, repoUrl, repoRef, path };
}

/** The link that fills in the form as it is now. */
function launchLink() {
  const link = new URL(SERVICE);
  const { image, environment, size, repoUrl, repoRef, path } = asked();
  const named = { image, environment, size, repo_url: repoUrl, ref: repoRef, path };
  for (const [name, value] of Object.entries(named)) if (value) link.searchParams.set(name, value);
  // Readable where possible. Characters that would end a link in Markdown stay encoded.
  link.search = link.searchParams.toString().replaceAll("%2F", "/").replaceAll("%3A", ":");
  return link.href;
}

function fillIn() {
  for (const name of FIELDS) if (query.get(name)) find(name).value = query.get(name);
  isOffered = [...FIELDS, "environment"].some((name) => query.get(name));
  find("consent").hidden = !isOffered;
}

/** Show what the link asks for on one card; the form, if that is not enough to launch, or the visitor may not launch. */
function showOffer({ mayLaunch }) {
  const target = { ...asked(), ...choices.titles };
  const isShown = mayLaunch && isOffered && (target.image || target.environment) !== "";
  const name = nameOf(target);
  find("title").replaceChildren(...(isShown ? breakable(name) : [TITLE]));
  document.title = isShown ? `Launch ${name}` : TITLE;
  find("offer-facts").replaceChildren(...factsOf(target));
  find("offer").hidden = !isShown;
  find("offer-lead").hidden = !isShown || invited !== null;
  find("invited-lead").hidden = !isShown || invited === null;
  find("lead").hidden = isShown;
  find("form").hidden = !mayLaunch || isShown;
}

/** A button that chooses an image: a datalist appears only while the visitor types. */
function chip(image) {
  const made = element("button", { type: "button", className: "chip", textContent: image });
  made.addEventListener("click", () => {
    find("image").value = image;
    share();
  });
  return made;
}

function suggest(images) {
  const named = images.filter((image) => !WILDCARD.test(image));
  const patterns = images.filter((image) => WILDCARD.test(image) && image !== "*");
  find("chips").replaceChildren(...named.slice(0, CHIPS).map(chip));
  find("images").replaceChildren(...named.map((value) => element("option", { value })));
  if (named.length === 1 && patterns.length === 0 && !images.includes("*")) find("image").value ||= named[0];
  const hint = find("image-hint");
  if (images.length === 0) hint.textContent = "This service allows no images yet.";
  else if (patterns.length && !images.includes("*")) {
    const codes = patterns.slice(0, 8).flatMap((pattern) => [", ", element("code", { textContent: pattern })]);
    hint.replaceChildren(named.length ? "Also allowed: " : "Allowed: ", ...codes.slice(1));
  }
}

function share() {
  const link = launchLink();
  find("share-link").value = link;
  find("share-badge").value = `[![Launch](${new URL("badge.svg", SERVICE)})](${link})`;
}

async function copy(button) {
  const field = find(button.dataset.copies);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    return; // it is selected, to be copied by hand
  }
  button.textContent = "Copied";
  find("said").textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

/** Fill in what the invitation decides, and hide these fields. */
function invite() {
  const isFixed = invited.repo_url !== "";
  for (const name of ["repo_url", "ref", "path"]) {
    if (isFixed) find(name).value = invited[name];
    find(name).closest(".field").hidden = isFixed;
  }
  find("share").hidden = true; // such a link has no invitation
  const last = new Date(Date.parse(invited.until) - 60_000); // a date ends at midnight
  const day = last.toLocaleString("en", { dateStyle: "long", timeStyle: "short" });
  find("invited-until").textContent = `The invitation ends on ${day}.`;
  find("invited-until").hidden = false;
}

/** Launch, and go to the launch's own page. Stay here if storage cannot pass the launch on to that page. */
function launch() {
  const target = asked();
  const isInvited = invited !== null;
  const code = isInvited ? invitation() : "";
  const launcher = element("hub-launch", { ...target, invitation: code, open: isShared ? "none" : "same" });
  launcher.addEventListener("launch", ({ detail }) => {
    if (!isShared) return;
    recent.add({ id: detail.id, secret: detail.secret, ...target, isInvited, at: Date.now() });
    launcher.remove(); // the launch's page follows the launch
    location.assign(viewUrl(detail.id));
  });
  launcher.addEventListener("failed", ({ detail }) => {
    if (!REFUSED.includes(detail.problem?.code)) return;
    launcher.remove();
    start();
  });
  find("launcher").replaceChildren(launcher);
  launcher.launch();
}

/** The field with which the form begins: the chosen environment, or the image. */
function firstField() {
  return document.querySelector("input[name=environment]:checked") ?? find("image");
}

/** Whether the invitation leaves the visitor anything to choose. */
function leavesChoice({ environments }) {
  return invited.repo_url === "" || environments.length > 1 || environments.some(({ sizes }) => sizes.length > 1);
}

/** Show what this visitor may launch, with the visitor's last choice chosen, or what the link asks for. */
async function offer(session) {
  const answer = await ask("catalogue", { code: invited ? invitation() : "" }).catch(() => null);
  const offered = answer?.ok ? await answer.json() : { environments: [], images: session.images ?? [] };
  suggest(offered.images);
  const linked = { environment: query.get("environment") ?? "", size: query.get("size") ?? "" };
  const { environment, size } = hasChosen ? choices.names : linked;
  choices.show(offered, { environment, size, image: find("image").value });
  find("change").hidden = invited !== null && !leavesChoice(offered);
  if (environment === "" || choices.names.environment === environment) return;
  isOffered = false;
  find("problem").textContent = `You cannot launch the environment ${environment} here. Choose another one.`;
  find("problem").hidden = false;
}

function listen() {
  find("form").addEventListener("submit", (event) => {
    event.preventDefault();
    launch();
  });
  find("form").addEventListener("input", share);
  find("accept").addEventListener("click", launch);
  find("change").addEventListener("click", () => {
    isOffered = false;
    showOffer({ mayLaunch: true });
    firstField().focus();
  });
  find("share").addEventListener("click", ({ target }) => target.dataset.copies && copy(target));
  find("forget").addEventListener("click", () => {
    recent.clear();
    showLaunches({ recent, isKnown: false });
    (find("form").hidden ? find("accept") : firstField()).focus();
  });
  window.addEventListener("hashchange", () => takeInvitation() && location.reload());
  // Restored from the bfcache, the page shows current launches to the current visitor.
  window.addEventListener("pageshow", ({ persisted }) => persisted && start());
  // WebKit resets fields without autocomplete some time after pageshow.
  window.addEventListener("pagehide", () => FIELDS.map(find).forEach((field) => (field.defaultValue = field.value)));
}

async function start() {
  find("main").ariaBusy = "true";
  find("recent").hidden = true;
  const session = await account(find("account"), { recent });
  const isKnown = !session.problem && !["anonymous", "invitation"].includes(session.kind);
  const isInvitedNow = invited === null && session.invitation != null;
  invited = session.invitation ?? null;
  if (isInvitedNow) isOffered = true;
  if (session.problem) {
    find("problem").replaceChildren(
      element("strong", { textContent: session.problem.title }),
      session.problem.advice ?? "",
    );
  }
  find("problem").hidden = !session.problem;
  const mayLaunch = isKnown || invited !== null || session.access?.includes("anonymous");
  find("login").hidden = mayLaunch || !session.access?.includes("hub");
  find("login-link").href = loginUrl();
  if (!mayLaunch && session.access && !session.access.includes("hub")) {
    find("problem").textContent = session.access.includes("invitation")
      ? "To launch here, open the link of your invitation."
      : "Only applications with an API key can launch here.";
    find("problem").hidden = false;
  }
  if (session.isAnother) find("launcher").replaceChildren();
  if (invited) invite();
  if (mayLaunch) await offer(session);
  showOffer({ mayLaunch });
  share();
  find("main").ariaBusy = "false";
  await showLaunches({ recent, isKnown });
}

takeInvitation();
listen();
fillIn();
start();
