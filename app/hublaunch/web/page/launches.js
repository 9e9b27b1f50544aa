// The list of recent launches: from the service for a known caller, otherwise from this browser's memory.

import { SERVICE, ask, element } from "./account.js";
import { mayStop, stopper } from "./stop.js";
import { withTitles } from "./titles.js";

const SHOWN = 10;
const STATUS = {
  waiting: "Waiting",
  launching: "Starting",
  ready: "Ready",
  failed: "Failed",
  cancelled: "Cancelled",
  stopped: "Stopped",
};
const OVER = new Set(["failed", "cancelled", "stopped"]);
const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** The name of a launch: the repository's `org/repo`, or else the environment, or the image without its registry. */
export function nameOf({ image, environment, repoUrl }) {
  const parts = (repoUrl || "").replace(/\/+$/, "").replace(/\.git$/, "").split(/[/:]+/);
  if (repoUrl) return parts.slice(-2).join("/");
  if (environment) return environment;
  return image ? image.replace(/@.*/, "").split("/").slice(-2).join("/") : "A launch";
}

/** A name that may break after its slashes. */
export function breakable(name) {
  return name.split(/(?<=\/)/).flatMap((piece, n) => (n ? [element("wbr"), piece] : [piece]));
}

/** The rows of a list of facts about a launch: what it runs, then `more`, without those that are empty. */
export function factsOf({ image, environment, size, repoUrl, repoRef, path }, ...more) {
  const what = [["Environment", environment], ["Size", size], ["Image", image]];
  return [...what, ["Repository", repoUrl], ["Branch, tag or commit", repoRef], ["Opens", path], ...more]
    .filter(([, value]) => value)
    .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, ...breakable(value))]);
}

export function viewUrl(id) {
  return new URL(`launch/${id}/view`, SERVICE).href;
}

export async function showLaunches({ recent, isKnown }) {
  const launches = await withTitles(isKnown ? await listed() : await remembered(recent));
  document.getElementById("recent").hidden = launches.length === 0;
  document.getElementById("forget").hidden = isKnown;
  document.getElementById("recent-hint").textContent = isKnown ? "" : "Only this browser remembers these launches, for a day.";
  const again = async (id) => {
    await showLaunches({ recent, isKnown });
    document.querySelector(`#launches a[href="${viewUrl(id)}"]`)?.focus();
  };
  const items = launches.map((launch) => item(launch, { isKnown, stopped: () => again(launch.id) }));
  document.getElementById("launches").replaceChildren(...items);
}

async function listed() {
  const answer = await ask(`launch?limit=${SHOWN}`).catch(() => null);
  if (!answer?.ok) return [];
  const page = await answer.json();
  return page.launches.map((launch) => ({ ...launch, repoUrl: launch.repo_url, at: Date.parse(launch.created_at) }));
}

async function remembered(recent) {
  const launches = await Promise.all(recent.all().map((launch) => refreshed(launch, recent)));
  return launches.filter((launch) => launch !== null);
}

async function refreshed(launch, recent) {
  const answer = await ask(`launch/${launch.id}`, { secret: launch.secret }).catch(() => null);
  if (answer === null) return launch; // unchanged: the launch's own page shows more
  if (answer.status === 404 || answer.status === 410) {
    recent.remove(launch.id);
    return null;
  }
  if (!answer.ok) return launch;
  const { status, stalled_since, will_end_at, is_temporary } = await answer.json();
  if (OVER.has(status) && launch.secret) recent.forgetSecret(launch.id);
  return { ...launch, status, stalled_since, will_end_at, is_temporary };
}

function item(launch, { isKnown, stopped }) {
  const end = launch.will_end_at ? `ends ${relative(Date.parse(launch.will_end_at))}` : "";
  const what = [end, launch.repoUrl ? launch.image : "", relative(launch.at)].filter(Boolean).join(" · ");
  const name = nameOf({ ...launch, ...launch.titles });
  const status = element("span", { className: "status", textContent: STATUS[launch.status] ?? "" });
  if (launch.stalled_since) status.textContent += ", no news";
  status.dataset.status = launch.status ?? "";
  status.hidden = !launch.status;
  return element(
    "li",
    {},
    element("a", { href: viewUrl(launch.id), textContent: name }),
    element("span", { className: "what", textContent: what }),
    status,
    ...(mayStop(launch, { isKnown }) ? [stopper(launch, { name, stopped })] : []),
  );
}

function relative(at) {
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const ahead = at - Date.now();
  const [unit, length] = UNITS.find(([, milliseconds]) => Math.abs(ahead) >= milliseconds) ?? [];
  if (unit) return words.format(Math.trunc(ahead / length), unit);
  return ahead > 0 ? "in less than a minute" : "just now";
}
