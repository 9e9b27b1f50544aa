// The page for admins: what the service is doing now, live, and its switches.

import { session as tabStorage } from "../element/storage.js";
import { account, ask, element, loginUrl } from "./account.js";
import { nameOf, viewUrl } from "./launches.js";
import { asking } from "./question.js";
import { Recent } from "./recent.js";
import { Rows } from "./rows.js";
import { followService } from "./service-stream.js";
import { stopper } from "./stop.js";

const LINK = "hublaunch admin link";
const CREDENTIAL = /^hla_[\w=-]{1,400}$/;
const NO_CREDENTIAL = "hla_broken"; // the service says that this link does not work
const GUARD = {
  open: "launches are admitted",
  proven_only: "only images that were ready within the last hour are launched, one at a time",
  paused: "nothing is launched until JupyterHub is restarted or the guard is cleared",
  off: "off",
};
const find = (id) => document.getElementById(id);
let code = "";
let seen = null;
let ahead = 0; // the service's clock, relative to this browser's

/** Take the credential of an admin link out of the address bar, and keep it in this tab. */
function takeLink() {
  const given = new URLSearchParams(location.hash.slice(1)).get("link");
  if (given !== null) {
    history.replaceState(history.state, "", location.pathname + location.search);
    tabStorage.setItem(LINK, CREDENTIAL.test(given) ? given : NO_CREDENTIAL);
  }
  code = tabStorage.getItem(LINK) ?? "";
}

const launches = new Rows(find("launches"), {
  labels: ["Launch", "Stage", "Age", "Silent for", "Caller", "Last message", ""],
  make: (launch) => {
    const link = element("a", { href: viewUrl(launch.id), textContent: what(launch) });
    const repository = element("span", { className: "hint", textContent: [launch.repo_url, launch.ref].filter(Boolean).join(" ") });
    const status = launch.admitted_at ? "launching" : "waiting";
    const stop = stopper({ id: launch.id, status, code }, { name: `${what(launch)} of ${who(launch)}`, stopped: () => {} });
    return [[link, repository], "", "", "", who(launch), "", stop];
  },
  texts: (launch) => ({ 1: stage(launch), 2: since(launch.created_at), 3: since(launch.last_event_at), 5: launch.message }),
});
const refused = new Rows(find("refused"), {
  labels: ["Image", "Cause", "Refused until", ""],
  make: ({ image, cause, until }) => [image, cause, clock(until), admitter(image)],
});
const ready = new Rows(find("ready"), {
  labels: ["Environment", "Image", "Servers"],
  make: ({ environment, image }) => [environment ?? "", image, ""],
  texts: ({ servers }) => ({ 2: servers }),
});
const callers = new Rows(find("callers"), {
  labels: ["Caller", "Active launches"],
  make: (caller) => [who({ caller }), ""],
  texts: ({ active }) => ({ 1: active }),
});
const quotas = new Rows(find("quotas"), {
  labels: ["Quota for", "Counts", "Active launches", "At most"],
  make: ({ scope, counts, most }) => [scope, counts, "", most],
  texts: ({ active }) => ({ 2: active }),
});
const warm = new Rows(find("warm"), {
  labels: ["Pool", "Ready", "Starting"],
  make: ({ pool }) => [pool, "", ""],
  texts: (pool) => ({ 1: pool.ready, 2: pool.starting }),
});
const processes = new Rows(find("processes"), {
  labels: ["Process", "Launches", "Lease ends"],
  make: ({ id }) => [id, "", ""],
  texts: (process) => ({ 1: process.launches, 2: until(process.leased_until) }),
});

function what(launch) {
  return nameOf({ image: launch.image, environment: launch.environment });
}

function who({ caller }) {
  return ["anonymous", "hub"].includes(caller.kind) ? caller.key : `${caller.kind.replace("_", " ")} ${caller.key}`;
}

function stage(launch) {
  if (launch.cancel_requested_at) return "cancelling";
  const waitsFor = launch.admitted_at ? (launch.stage ?? launch.status) : "in the queue";
  return launch.stalled_since ? `${waitsFor}, no news` : waitsFor;
}

function seconds(at) {
  return Math.round((Date.parse(at) - Date.now() - ahead) / 1000);
}

function rough(passed) {
  if (passed < 120) return `${Math.max(0, passed)} s`;
  return passed < 7200 ? `${Math.floor(passed / 60)} min` : `${Math.floor(passed / 3600)} h`;
}

const since = (at) => rough(-seconds(at));
const until = (at) => (seconds(at) > 0 ? `in ${rough(seconds(at))}` : "expired");
const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

// --- the switches ----------------------------------------------------------------------------------------------------

async function done(path, how) {
  const answer = await ask(path, { ...how, code }).catch(() => null);
  return answer?.status === 204;
}

function drain(isDraining) {
  return done("admin/drain", { method: "PUT", json: { is_draining: isDraining } });
}

const FAILED = "This did not work. Reload the page to see why.";

function drainer() {
  return seen.is_draining
    ? asking({
        verb: "Accept new launches",
        label: "Accept new launches",
        question: "Accept new launches, and admit the queue?",
        keep: "Keep refusing",
        confirm: "Accept them",
        doing: "Accepting…",
        failed: FAILED,
        act: () => drain(false),
      })
    : asking({
        verb: "Refuse new launches",
        label: "Refuse new launches",
        question: "Refuse new launches and hold the queue? Ready servers keep running.",
        keep: "Keep accepting",
        confirm: "Refuse them",
        doing: "Draining…",
        failed: FAILED,
        act: () => drain(true),
      });
}

function clearer() {
  return asking({
    verb: "Clear the guard",
    label: "Clear the guard",
    question: "Reset the count of failed spawns to zero?",
    keep: "Keep the count",
    confirm: "Clear it",
    doing: "Clearing…",
    failed: FAILED,
    act: () => done("admin/guard", { method: "DELETE" }),
  });
}

function admitter(image) {
  return asking({
    verb: "Admit again",
    label: `Admit again: ${image}`,
    question: "Admit this image again?",
    keep: "Keep refusing",
    confirm: "Admit it",
    doing: "Admitting…",
    failed: FAILED,
    act: () => done(`admin/guard?${new URLSearchParams({ image })}`, { method: "DELETE" }),
  });
}

let switched = ""; // what the switches show, so that a question stays open while the numbers change

function showSwitches() {
  const hasFailures = (seen.guard?.failures ?? 0) > 0 && seen.guard.state !== "off";
  const state = `${seen.is_draining} ${hasFailures}`;
  if (state === switched) return;
  switched = state;
  const hadFocus = find("switches").contains(document.activeElement);
  find("switches").replaceChildren(drainer(), ...(hasFailures ? [clearer()] : []));
  if (hadFocus) find("switches").querySelector("button").focus();
}

// --- what is shown ---------------------------------------------------------------------------------------------------

function summary() {
  const { service, counts, guard } = seen;
  const hub = service.hub.latency_ms === null ? "does not answer" : `${service.hub.version ?? ""} answered in ${service.hub.latency_ms} ms`;
  const stalled = counts.stalled ? `, ${counts.stalled} of them without news` : "";
  const failures = guard.state === "off" ? "" : `; failures in a row: ${guard.failures} of ${guard.failure_limit}`;
  return {
    JupyterHub: seen.hub_busy_for_s === null ? hub : `${hub}; it asked us to wait; ${Math.ceil(seen.hub_busy_for_s)} s are left`,
    "In the queue": counts.waiting,
    "At JupyterHub": `${counts.launching} of ${service.limits.max_concurrent_spawns}${stalled}`,
    Ready: counts.ready,
    "Hub guard": `${GUARD[guard.state]}${failures}`,
    "New launches": seen.is_draining ? "are refused, and the queue is held" : "are accepted",
  };
}

function show() {
  const { status, reasons } = seen.service;
  find("light").dataset.status = { green: "ready", yellow: "launching", red: "failed" }[status];
  const light = [{ green: "Everything works.", yellow: "Launches may have to wait.", red: "New launches do not start." }[status], ...reasons].join(" ");
  if (find("light").textContent !== light) find("light").textContent = light;
  if (seen.counts === null) return;
  const facts = Object.entries(summary()).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value))));
  find("summary").replaceChildren(...facts);
  showSwitches();
  showLaunches();
  const lists = [
    [refused, seen.guard.refused, "image"],
    [ready, seen.ready.map((one) => ({ ...one, key: `${one.environment ?? ""} ${one.image}` })), "key"],
    [callers, seen.callers.map((one) => ({ ...one, id: `${one.kind} ${one.key}` })), "id"],
    [quotas, seen.quotas.map((one) => ({ ...one, key: `${one.scope} ${one.counts} ${one.most}` })), "key"],
    [warm, seen.warm, "pool"],
    [processes, seen.processes, "id"],
  ];
  for (const [rows, entries, key] of lists) {
    rows.show(entries, key);
    const isEmpty = entries.length === 0;
    if (isEmpty && rows.section.contains(document.activeElement)) find("launches-title").focus();
    rows.section.hidden = isEmpty;
  }
}

function showLaunches() {
  const words = find("filter").value.trim().toLowerCase();
  const by = find("sort").value;
  const all = seen.launches.map((launch) => ({ ...launch, who: who(launch), what: what(launch) }));
  const text = (one) => [one.id, one.who, one.image, one.environment, one.repo_url, one.ref, one.message, stage(one)].join(" ").toLowerCase();
  const shown = all.filter((launch) => text(launch).includes(words));
  if (by) shown.sort((one, other) => (one[by] < other[by] ? -1 : Number(one[by] > other[by])));
  launches.show(shown, "id");
  const total = seen.counts.waiting + seen.counts.launching;
  find("launches-shown").textContent = shown.length < total ? `Shown: ${shown.length} of ${total}` : "";
  find("launches-none").hidden = shown.length > 0;
  find("launches-none").textContent = all.length ? "No launch matches the filter." : "Nothing is being launched.";
}

function say(title, advice = "") {
  find("problem").hidden = !title;
  find("problem").replaceChildren(...(title ? [element("strong", { textContent: title }), advice] : []));
}

async function follow(signal) {
  await followService({
    code,
    signal,
    on: {
      overview(news) {
        seen = news;
        if (news.at) ahead = Date.parse(news.at) - Date.now();
        find("overview").hidden = false;
        show();
      },
      connection: (is) => say(is ? "" : "hublaunch does not answer", "This is its last known state. This page keeps trying to connect."),
      refused(problem) {
        const hadFocus = find("overview").contains(document.activeElement);
        find("overview").hidden = true;
        const isLogin = problem.status === 401 && !code;
        find("login").hidden = !isLogin || find("login-link").hidden;
        say(problem.title, [problem.detail, isLogin ? "Log in as an admin, or ask the operator for a link, which `hublaunch admin-link` prints." : problem.advice].filter(Boolean).join(" "));
        if (hadFocus) find("problem").focus();
      },
    },
  });
}

let following = null;

async function start() {
  following?.abort();
  following = new AbortController();
  takeLink();
  find("login-link").href = loginUrl();
  if (!code) {
    const told = await account(find("account"), { recent: new Recent() });
    find("login-link").hidden = !told.access?.includes("hub");
  }
  await follow(following.signal);
}

find("filter").addEventListener("input", () => seen?.launches && showLaunches());
find("sort").addEventListener("change", () => seen?.launches && showLaunches());
setInterval(() => seen?.counts && !document.hidden && show(), 1000);
window.addEventListener("pagehide", () => following?.abort());
window.addEventListener("pageshow", ({ persisted }) => persisted && start());
window.addEventListener("hashchange", start);
start();
