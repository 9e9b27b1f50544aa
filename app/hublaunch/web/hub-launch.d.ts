// TypeScript types of <hub-launch>. The element itself is hub-launch.js.

/** The phase of a launch, as the element shows it. */
export type LaunchPhase =
  | "idle"
  | "asking"
  | "resuming"
  | "waiting"
  | "launching"
  | "ready"
  | "failed"
  | "cancelled"
  | "stopped";

/** What a launch in progress waits for. */
export type LaunchStage = "queued" | "scheduling" | "pulling" | "starting" | "opening";

/** Why JupyterHub says nothing new about a launch. */
export type StalledReason =
  | "adding_machine"
  | "no_machine"
  | "batch_queue"
  | "storage"
  | "pull_failed"
  | "restarting";

/** Why something was refused or failed (RFC 9457). `unreachable` and `origin_not_allowed` are the element's own codes, and have no other fields. */
export interface Problem {
  code: string;
  type?: string;
  title?: string;
  detail?: string;
  advice?: string;
  status?: number;
  /** With `server_already_running`: the URL of that server. */
  url?: string;
  /** With `server_already_running`: the URL that opens `path` in that server. */
  open_url?: string;
  errors?: { field: string; reason: string }[];
}

/** How long the last launches of the image took from their admission until they were ready. */
export interface ExpectedBasis {
  /** How many launches, 5 to 50. */
  count: number;
  /** Half of them took at most this many seconds. */
  p50_s: number;
  /** Nine of ten took at most this many seconds. */
  p90_s: number;
  /** Whether only launches that pulled the image are counted. */
  of_pulls: boolean;
  /** Seconds from the admission of this launch until the event. */
  passed_s: number;
}

/** An event of a launch, as `GET /launch/{id}/events` sends it. There may be more fields. */
export interface LaunchEvent {
  launch_id: string;
  seq: number;
  at: string;
  phase: "waiting" | "launching" | "ready" | "failed" | "cancelled";
  /** What the launch waits for; later releases may add stages. */
  stage: LaunchStage | (string & {}) | null;
  message: string;
  /** From 0 to 100. */
  progress: number;
  attempt: number;
  /** When the launch will probably be ready: in the first event after its admission, and at the first pull. */
  expected_ready_at?: string | null;
  /** What the estimate is based on; null if there is no estimate. */
  expected_basis?: ExpectedBasis | null;
  problem?: Problem;
  url?: string;
  /** The URL to open in a browser. */
  open_url?: string;
  token?: string | null;
  token_expires_at?: string | null;
  /** With `ready`: why the files of the repository are not in the server. */
  content_fault?: string | null;
  image?: string;
  /** The size of the image, once it has been pulled and is known. */
  image_bytes?: number;
  repo_url?: string;
  /** Only if the event says that the launch is stalled: when JupyterHub last said something new. */
  stalled_since?: string;
  /** With `stalled_since`; later releases may add reasons. */
  stalled_reason?: StalledReason | (string & {}) | null;
}

/** A launch, as `POST /launch` returns it. There may be more fields. */
export interface Launch {
  id: string;
  /** Gives access to the launch's private fields, and lets its holder cancel the launch. */
  secret: string;
  status: "waiting" | "launching" | "ready" | "failed" | "cancelled" | "stopped";
  /** Whether the launch got a warm server, which was running before the launch claimed it. */
  warm?: boolean;
  created_at: string;
  /** When ready: when the server will be stopped. */
  will_end_at?: string | null;
  /** When ready: the latest `will_end_at` that an extension can reach. */
  extendable_until?: string | null;
  /** What stopped the server: `caller`, `hub`, `session_end`, `operator`; later releases may add more. */
  stopped_by?: string | null;
  image?: string;
  environment?: string | null;
  size?: string | null;
  repo_url?: string;
  ref?: string;
}

/** The texts of the element; see `TEXTS` in element/texts.js for the English ones. */
export interface LaunchTexts {
  launch: string;
  asking: string;
  resuming: string;
  /** Shown to visitors who follow another person's launch, like all texts that end in "Elsewhere". */
  resumingElsewhere: string;
  waiting: string;
  launching: string;
  launchingElsewhere: string;
  /** Stages of `launching`: these three have texts of their own. */
  scheduling: string;
  pulling: string;
  opening: string;
  /** With {size}. */
  imageSize: string;
  /** While the launch is stalled. With {time}, which is `inMinutes`. */
  stalled: string;
  /** Shown after `stalled`, by the reason that the service gives. */
  stalledAddingMachine: string;
  stalledNoMachine: string;
  stalledBatchQueue: string;
  stalledStorage: string;
  stalledPullFailed: string;
  stalledRestarting: string;
  /** How long such a start usually takes. With {time}, which is `inSeconds` or `inMinutes`. */
  usually: string;
  /** In place of `usually` once the start takes longer than nine of ten. With {time}. */
  longer: string;
  /** With {count}. */
  inSeconds: string;
  /** With {count}. */
  inMinutes: string;
  temporary: string;
  /** With {time} and {left}, which is one of the texts that begin with "left". */
  endsAt: string;
  /** Announced ten minutes before the end. With {time}. */
  endsSoon: string;
  ending: string;
  leftSoon: string;
  leftMinute: string;
  /** With {count}. */
  leftMinutes: string;
  /** With {count}. */
  leftHours: string;
  /** With {count}. */
  leftDays: string;
  ready: string;
  readyElsewhere: string;
  failed: string;
  cancelling: string;
  cancelled: string;
  stopping: string;
  stopped: string;
  /** In place of `stopped` if the service stopped the server because its time was up. */
  stoppedAtEnd: string;
  next: string;
  /** With {position} and {size}. */
  position: string;
  soon: string;
  minute: string;
  /** With {count}. */
  minutes: string;
  hour: string;
  /** With {count}. */
  hours: string;
  /** With {count}. */
  attempt: string;
  elapsed: string;
  /** With {time}. */
  took: string;
  progress: string;
  lost: string;
  /** While it is not known whether the launch was accepted. */
  offline: string;
  offlineInProgress: string;
  unreachable: string;
  unreachableAdvice: string;
  /** Shown where the service does not let this page launch, above a link to its own page. */
  originNotAllowed: string;
  originNotAllowedAdvice: string;
  launchPage: string;
  /** Shown with the problem `already_launching`. All texts that end in "Advice" belong to a problem code. */
  alreadyLaunchingAdvice: string;
  launchNotFoundAdvice: string;
  rateLimitedAdvice: string;
  unauthenticatedAdvice: string;
  blocked: string;
  open: string;
  openHint: string;
  cancel: string;
  /** With {time}, which is `inMinutes`. */
  extend: string;
  stop: string;
  stopQuestion: string;
  /** The consequence, where files are temporary. */
  stopTemporary: string;
  /** The consequence elsewhere. */
  stopRunning: string;
  stopConfirm: string;
  keep: string;
  retry: string;
  again: string;
  another: string;
  details: string;
  log: string;
  /** With {id}. */
  id: string;
}

/** Properties of the element that a framework may set. */
export interface HubLaunchProps {
  image?: string;
  environment?: string;
  size?: string;
  repoUrl?: string;
  repoRef?: string;
  path?: string;
  service?: string;
  open?: "same" | "new" | "none";
  theme?: "light" | "dark" | "auto" | "";
  launchId?: string | null;
  secret?: string | null;
  invitation?: string;
  texts?: Partial<LaunchTexts>;
}

export interface HubLaunchEventMap {
  /** A launch was accepted, or this browser's earlier launch was found again. */
  launch: CustomEvent<Launch>;
  progress: CustomEvent<LaunchEvent>;
  /** `preventDefault()` keeps the element from opening the server. */
  ready: CustomEvent<LaunchEvent>;
  /** The launch failed or was refused. After a refusal there is only a `problem`. */
  failed: CustomEvent<{ problem: Problem } & Partial<LaunchEvent>>;
  cancelled: CustomEvent<Partial<LaunchEvent>>;
  /** A server that was ready has stopped. */
  stopped: CustomEvent<Launch>;
}

export class HubLaunch extends HTMLElement {
  image: string;
  /** An environment of the catalogue, in place of an image. */
  environment: string;
  /** A size of the environment. By default its first one. */
  size: string;
  repoUrl: string;
  /** The branch, tag or commit of the repository. */
  repoRef: string;
  /** The path to open: in the server, or in the repository if the environment fetches it. */
  path: string;
  /** The base URL of hublaunch. By default the one that the module was loaded from. */
  service: string;
  open: "same" | "new" | "none";
  /** `auto` follows the visitor's system. If it is empty, the `color-scheme` of the page decides. */
  theme: "light" | "dark" | "auto" | "";
  /** The id of a launch to show, wherever it was launched. */
  launchId: string | null;
  /** The secret of that launch. */
  secret: string | null;
  /** The code of an invitation to launch with. */
  invitation: string;
  /** All texts. Assign an object with the texts to replace; the others stay English. */
  get texts(): LaunchTexts;
  set texts(texts: Partial<LaunchTexts>);
  readonly phase: LaunchPhase;
  /** Do what a click does. With `another`, make a new launch even if the earlier one still exists. */
  launch(options?: { another?: boolean }): Promise<void>;
  cancel(): Promise<void>;
  /** Stop the ready server. The button asks first; this does not. */
  stop(): Promise<void>;
  /** Let the ready server run an hour longer, or as long as the service allows. */
  extend(): Promise<void>;
  addEventListener<K extends keyof HubLaunchEventMap>(
    type: K,
    listener: (this: HubLaunch, event: HubLaunchEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "hub-launch": HubLaunch;
  }
}
