// The texts of <hub-launch>, and how positions and times are put into words.

/** The English texts. A page replaces them with `element.texts`, or with attributes such as `text-launch`. */
export const TEXTS = Object.freeze({
  launch: "Launch",
  asking: "Requesting a server",
  resuming: "Looking for your launch",
  resumingElsewhere: "Looking for the launch",
  waiting: "Waiting in the queue",
  launching: "Starting your server",
  launchingElsewhere: "Starting the server",
  scheduling: "Finding a machine for the server",
  pulling: "Pulling the image",
  opening: "Waiting for the server to answer",
  imageSize: "Image size: {size}",
  stalled: "No news for {time}",
  stalledAddingMachine: "The cluster is adding a machine",
  stalledNoMachine: "No machine has room for the server yet",
  stalledBatchQueue: "The server is in the cluster's queue",
  stalledStorage: "The server's storage is not ready yet",
  stalledPullFailed: "The last try failed, and the cluster will try again",
  stalledRestarting: "The server has ended, and the cluster is starting it again",
  usually: "Usually {time}",
  longer: "Longer than usual; usually {time}",
  inSeconds: "{count} s",
  inMinutes: "{count} min",
  temporary: "Files here are temporary: they are deleted when the server stops.",
  endsAt: "Ends at {time} ({left})",
  endsSoon: "The server ends at {time}. Save what you want to keep.",
  ending: "Time is up: the server is being stopped.",
  leftSoon: "in less than a minute",
  leftMinute: "in a minute",
  leftMinutes: "in {count} minutes",
  leftHours: "in {count} hours",
  leftDays: "in {count} days",
  ready: "Your server is ready",
  readyElsewhere: "The server is ready",
  failed: "The launch failed",
  cancelling: "Cancelling",
  cancelled: "The launch was cancelled",
  stopping: "Stopping your server",
  stopped: "This server has stopped",
  stoppedAtEnd: "Time is up: this server has stopped",
  next: "You are next in the queue",
  position: "Number {position} of {size} in the queue",
  soon: "less than a minute to go",
  minute: "about a minute to go",
  minutes: "about {count} minutes to go",
  hour: "about an hour to go",
  hours: "about {count} hours to go",
  attempt: "Attempt {count}",
  elapsed: "Elapsed time",
  took: "Took {time}",
  progress: "Progress of the launch",
  lost: "Connection lost. Reconnecting…",
  offline: "You are offline. This page continues when you are back online.",
  offlineInProgress: "You are offline. The launch continues, and this page catches up when you are back online.",
  unreachable: "The launch service cannot be reached",
  unreachableAdvice: "Check your connection, then try again. This never starts a second launch.",
  originNotAllowed: "This page cannot launch servers",
  originNotAllowedAdvice: "You can launch on the service's own page.",
  launchPage: "Go to that page",
  alreadyLaunchingAdvice: "Wait until the other launch has ended, then try again.",
  launchNotFoundAdvice: "Check the link, or launch again.",
  rateLimitedAdvice: "Wait a moment, then try again.",
  unauthenticatedAdvice: "Log in, then try again.",
  blocked: "Your browser did not open the new tab.",
  open: "Open server",
  openHint: "Opens in a new tab",
  cancel: "Cancel",
  extend: "Extend by {time}",
  stop: "Stop server",
  stopQuestion: "Stop this server?",
  stopTemporary: "Its files will be deleted. Download what you want to keep first.",
  stopRunning: "Everything running in it will stop.",
  stopConfirm: "Stop it",
  keep: "Keep it running",
  retry: "Try again",
  again: "Launch again",
  another: "Start another",
  details: "Details",
  log: "Events so far",
  id: "Launch {id}",
});

/** The stages with a text of their own. All others, including those of later releases, are shown as the phase. */
const STAGES = new Set(["scheduling", "pulling", "opening"]);

/** The name of the phase, of the stage while the server starts, or of the reason why it stopped, as the owner or as another visitor reads it. */
export function phaseName({ phase, stage, isOwn, stoppedBy }, texts) {
  if (phase === "stopped" && stoppedBy === "session_end") return texts.stoppedAtEnd;
  const name = phase === "launching" && STAGES.has(stage) ? stage : phase;
  return (isOwn ? null : texts[`${name}Elsewhere`]) ?? texts[name] ?? "";
}

/** The advice on a problem. Some of the service's advice is for programs: the texts replace it. */
export function adviceOn({ code = "", advice = "" }, texts) {
  return texts[`${joined(code)}Advice`] ?? advice;
}

/** For how long JupyterHub has said nothing new, and the reason if it is known. */
export function stall(milliseconds, reason, texts) {
  const count = Math.max(1, Math.floor(milliseconds / 60_000));
  const words = filled(texts.stalled, { time: filled(texts.inMinutes, { count }) });
  const known = reason ? texts[joined(`stalled_${reason}`)] : undefined;
  return known ? `${words} · ${known}` : words;
}

/** The service's `two_words` as `twoWords`. */
function joined(word) {
  return word.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

/** The size of an image as registries show it. */
export function size(bytes) {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** How long such a start usually takes, and whether this one already takes longer. */
export function usually(milliseconds, { isLong }, texts) {
  return filled(isLong ? texts.longer : texts.usually, { time: roundTime(milliseconds / 1000, texts) });
}

/** A time in seconds or minutes, as a person would say it. */
function roundTime(seconds, texts) {
  if (seconds >= 90) return filled(texts.inMinutes, { count: Math.round(seconds / 60) });
  return filled(texts.inSeconds, { count: seconds < 10 ? Math.max(1, Math.round(seconds)) : Math.round(seconds / 5) * 5 });
}

/** When the server ends: the time of day, and the time `left` until then, in milliseconds. */
export function ends(at, left, texts) {
  if (left <= 0) return texts.ending;
  return filled(texts.endsAt, { time: timeOfDay(at), left: timeLeft(left / 1000, texts) });
}

/** The time in the visitor's own notation, with the day unless it is today. */
export function timeOfDay(at) {
  const [then, now] = [new Date(at), new Date()];
  const isToday = then.toDateString() === now.toDateString();
  const isThisWeek = then - now < 6 * 86_400_000;
  const day = isToday ? {} : isThisWeek ? { weekday: "long" } : { day: "numeric", month: "short" };
  return then.toLocaleString([], { ...day, hour: "numeric", minute: "2-digit" });
}

function timeLeft(seconds, texts) {
  const [minutes, hours] = [Math.round(seconds / 60), Math.round(seconds / 3600)];
  if (seconds < 60) return texts.leftSoon;
  if (minutes < 90) return minutes === 1 ? texts.leftMinute : filled(texts.leftMinutes, { count: minutes });
  if (hours < 48) return filled(texts.leftHours, { count: hours });
  return filled(texts.leftDays, { count: Math.round(hours / 24) });
}

/** The text with each `{name}` replaced. */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Minutes and seconds as on a clock, with hours if needed. */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The position in the queue, with the remaining time if there is an estimate. */
export function place(position, texts) {
  const where =
    position.position <= 1
      ? texts.next
      : filled(texts.position, { position: position.position, size: position.queue_size });
  return position.eta_s === null ? where : `${where} · ${toGo(position.eta_s, texts)}`;
}

/** The remaining time, rounded as a person would say it. */
function toGo(seconds, texts) {
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return texts.soon;
  if (minutes === 1) return texts.minute;
  if (minutes < 55) return filled(texts.minutes, { count: minutes > 10 ? Math.round(minutes / 5) * 5 : minutes });
  const hours = Math.round(minutes / 60);
  return hours === 1 ? texts.hour : filled(texts.hours, { count: hours });
}

/** The attribute that sets a text: `text-ready-elsewhere` for `readyElsewhere`. */
export function attributeOf(name) {
  return `text-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
