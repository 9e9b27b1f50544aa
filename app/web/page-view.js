// The page of one launch. Its link can be sent to anybody: what is private is shown to who holds the secret.

import { TEXTS } from "./launch-texts.js";
import "./hub-launch.js";
import { SERVICE, account, element } from "./page-account.js";
import { nameOf, viewUrl } from "./page-launches.js";
import { Recent } from "./page-recent.js";

const OVER = new Set(["failed", "cancelled", "stopped"]);
const find = (id) => document.getElementById(id);
const recent = new Recent();
const id = location.pathname.split("/").at(-2);

/** The launch as this visitor may see it; nothing if the service does not tell, which <hub-launch> will say. */
async function seen(secret) {
  try {
    const headers = secret ? { "X-Launch-Secret": secret } : {};
    const answer = await fetch(new URL(`launch/${id}`, SERVICE), { headers, cache: "no-store" });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

function describe({ image, repoUrl, path, createdAt }) {
  if (image) find("name").replaceChildren(...breakable(nameOf({ image, repoUrl })));
  const facts = [
    ["Image", image],
    ["Repository", repoUrl],
    ["Opens", path],
    ["Asked for", createdAt && new Date(createdAt).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" })],
  ].filter(([, value]) => value);
  find("facts").replaceChildren(
    ...facts.flatMap(([name, value]) => [
      element("dt", { textContent: name }),
      element("dd", { textContent: value }),
    ]),
  );
  find("facts").hidden = facts.length === 0;
}

/** A name that breaks after its slashes where there is no room for it. */
function breakable(name) {
  return name.split(/(?<=\/)/).flatMap((piece, n) => (n ? [element("wbr"), piece] : [piece]));
}

/** The tab tells how far it is, for who works in another one meanwhile. */
function entitle(launcher) {
  const name = find("name").textContent;
  const show = (text) => (document.title = `${text} · ${name}`);
  launcher.addEventListener("progress", ({ detail }) => {
    show(detail.phase === "launching" ? `${detail.progress} %` : TEXTS.waiting);
  });
  for (const phase of ["ready", "failed", "cancelled"]) launcher.addEventListener(phase, () => show(TEXTS[phase]));
}

async function start() {
  await account(find("account"), { recent }); // first, as it forgets what was somebody else's
  const remembered = recent.find(id);
  const launch = await seen(remembered?.secret);
  const target = {
    image: launch.image ?? remembered?.image ?? "",
    repoUrl: launch.repo_url ?? remembered?.repoUrl ?? "",
    path: launch.path ?? remembered?.path ?? "",
  };
  describe({ ...target, createdAt: launch.created_at });
  if (launch.status && !target.image) {
    find("lead").textContent = "Somebody has shared this with you: how far it is, and nothing more.";
    find("lead").hidden = false;
  }
  const launcher = element("hub-launch", { launchId: id, secret: remembered?.secret ?? null, ...target });
  for (const phase of OVER) launcher.addEventListener(phase, () => recent.forgetSecret(id));
  launcher.addEventListener("launch", ({ detail }) => {
    recent.add({ id: detail.id, secret: detail.secret, ...target, at: Date.now() });
    location.assign(viewUrl(detail.id));
  });
  entitle(launcher);
  find("launcher").replaceChildren(launcher);
}

start();
