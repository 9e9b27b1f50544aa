// The page of one launch. Its link can be shared: private fields are shown only to holders of the secret.

import { TEXTS, phaseName } from "../element/texts.js";
import "../hub-launch.js";
import { account, ask, element } from "./account.js";
import { invitation } from "./invitation.js";
import { breakable, factsOf, nameOf, viewUrl } from "./launches.js";
import { Recent } from "./recent.js";
import { withTitles } from "./titles.js";

const OVER = new Set(["failed", "cancelled", "stopped"]);
const find = (id) => document.getElementById(id);
const recent = new Recent();
const id = location.pathname.split("/").at(-2);

/** Return the launch as this visitor may see it, or nothing. <hub-launch> then shows the reason. */
async function seen(secret) {
  const answer = await ask(`launch/${id}`, { secret }).catch(() => null);
  return answer?.ok ? await answer.json().catch(() => ({})) : {};
}

function describe({ createdAt, ...target }) {
  find("name").replaceChildren(...breakable(nameOf(target)));
  const requested = createdAt && new Date(createdAt).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  const facts = factsOf(target, ["Requested", requested]);
  find("facts").replaceChildren(...facts);
  find("facts").hidden = facts.length === 0;
}

/** The tab's title shows the progress to visitors who work in another tab. */
function entitle(launcher, { isOwn }) {
  const name = find("name").textContent;
  const show = (text) => (document.title = `${text} · ${name}`);
  launcher.addEventListener("progress", ({ detail }) => {
    show(detail.phase === "launching" ? `${detail.progress} %` : TEXTS.waiting);
  });
  for (const phase of ["ready", ...OVER]) {
    launcher.addEventListener(phase, () => show(phaseName({ phase, isOwn }, TEXTS)));
  }
}

/** Hide the launch. */
function clear() {
  document.title = find("name").textContent = nameOf({});
  find("launcher").replaceChildren();
  find("facts").hidden = find("lead").hidden = true;
}

async function start() {
  find("main").ariaBusy = "true";
  clear();
  await account(find("account"), { recent }); // first: it forgets the launches of an earlier visitor
  const remembered = recent.find(id);
  const launch = await seen(remembered?.secret);
  const target = {
    image: launch.image ?? remembered?.image ?? "",
    environment: launch.environment ?? remembered?.environment ?? "",
    size: launch.size ?? remembered?.size ?? "",
    repoUrl: launch.repo_url ?? remembered?.repoUrl ?? "",
    repoRef: launch.ref ?? remembered?.repoRef ?? "",
    path: remembered?.path ?? launch.path ?? "", // as requested: an environment may open a path of its own
  };
  const [{ titles }] = await withTitles([target]);
  describe({ ...target, ...titles, createdAt: launch.created_at });
  const isOwn = (target.image || target.environment) !== "";
  find("lead").hidden = isOwn || !launch.status || OVER.has(launch.status);
  const isInvited = remembered?.isInvited ?? false;
  const code = isInvited ? invitation() : "";
  const secret = remembered?.secret ?? null;
  const launcher = element("hub-launch", { launchId: id, secret, invitation: code, ...target });
  for (const phase of OVER) {
    launcher.addEventListener(phase, () => {
      recent.forgetSecret(id);
      find("lead").hidden = true;
    });
  }
  launcher.addEventListener("launch", ({ detail }) => {
    recent.add({ id: detail.id, secret: detail.secret, ...target, isInvited, at: Date.now() });
    location.assign(viewUrl(detail.id));
  });
  entitle(launcher, { isOwn });
  find("launcher").replaceChildren(launcher);
  find("main").ariaBusy = "false";
}

// Restored from the bfcache, the page would show an old state, perhaps to another visitor.
window.addEventListener("pageshow", ({ persisted }) => persisted && start());
start();
