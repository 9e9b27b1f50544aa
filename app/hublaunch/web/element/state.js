// The visible state of a launch: made by run.js, shown by panel.js.

const IN_PROGRESS = new Set(["asking", "resuming", "waiting", "launching"]);

/** The state without a launch. All other states are made from it. Instants are milliseconds of the service's clock. */
export const IDLE = Object.freeze({
  /** idle, asking, resuming, waiting, launching, ready, failed, cancelled or stopped */
  phase: "idle",
  /** While it is waiting or launching: the service's word for what it waits for. */
  stage: null,
  id: null,
  progress: 0,
  attempt: 1,
  imageBytes: null,
  /** How long such a start usually takes (usual.js); null if that is not known. */
  usual: null,
  /** When JupyterHub last said something new, if that is unusually long ago; otherwise null. */
  stalledAt: null,
  /** The service's word for why; null if the reason is unknown. */
  stalledReason: null,
  position: null,
  startedAt: null,
  endedAt: null,
  isConnected: true,
  isCancelling: false,
  /** Whether the launch is the visitor's own: they may cancel and enter it. Strangers can only follow it. */
  isOwn: false,
  problem: null,
  openUrl: null,
  /** If this page may not launch: the service's own page for it. */
  launchPage: null,
  /** Once it is ready: why the files of the repository are not in the server. */
  contentFault: null,
  /** Of a ready server: when it will be stopped, and the latest end that an extension can reach; or null. */
  endsAt: null,
  extendableUntil: null,
  /** Whether its files are deleted once it has stopped. */
  isTemporary: false,
  isExtending: false,
  isStopping: false,
  /** Why the last request to stop or extend it was refused. */
  sessionProblem: null,
  /** What stopped it: the service's word. */
  stoppedBy: null,
  events: [],
});

const LASTING = new Set([
  "access_denied",
  "already_running",
  "cluster_refused",
  "command_not_found",
  "digest_required",
  "foreign_origin",
  "hub_forbidden",
  "hub_refused",
  "hub_token_unknown",
  "idempotency_key_reused",
  "image_failing",
  "image_not_allowed",
  "image_not_found",
  "image_wrong_platform",
  "invalid_request",
  "launch_gone",
  "launch_not_found",
  "malformed_body",
  "named_server_limit_reached",
  "named_servers_off",
  "not_the_hub",
  "refused_by_hook",
  "repo_not_allowed",
  "secret_required",
  "server_already_running",
  "server_name_taken",
  "server_not_found",
  "spec_not_mapped",
  "token_refused",
  "unauthenticated",
  "unknown_host",
]);

/** Whether a retry is useless because the request, the image or the configuration has to change first. */
export function isLasting(problem) {
  return LASTING.has(problem?.code);
}

export function isInProgress({ phase }) {
  return IN_PROGRESS.has(phase);
}

/** Return the URL if a browser may be sent to it. */
export function webUrl(text) {
  return /^https?:\/\//i.test(text ?? "") ? text : null;
}
