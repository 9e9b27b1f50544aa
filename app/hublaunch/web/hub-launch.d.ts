// Types of <hub-launch>, for who uses it from TypeScript. The element itself is hub-launch.js.

/** Where a launch is, as the element shows it. */
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

/** Why something was refused or failed (RFC 9457). `unreachable`, the element's own code, comes with nothing else. */
export interface Problem {
  code: string;
  type?: string;
  title?: string;
  detail?: string;
  advice?: string;
  status?: number;
  /** With `server_already_running`: that server. */
  url?: string;
  /** With `server_already_running`: what opens `path` in that server. */
  open_url?: string;
  errors?: { field: string; reason: string }[];
}

/** An event of a launch, as `GET /launch/{id}/events` tells it. There may be further fields. */
export interface LaunchEvent {
  launch_id: string;
  seq: number;
  at: string;
  phase: "waiting" | "launching" | "ready" | "failed" | "cancelled";
  message: string;
  /** From 0 to 100. */
  progress: number;
  attempt: number;
  problem?: Problem;
  url?: string;
  /** What to open in a browser. */
  open_url?: string;
  token?: string | null;
  token_expires_at?: string | null;
  image?: string;
  repo_url?: string;
}

/** A launch as `POST /launch` answers it. There may be further fields. */
export interface Launch {
  id: string;
  /** Shows the launch's private fields and cancels it. */
  secret: string;
  status: "waiting" | "launching" | "ready" | "failed" | "cancelled" | "stopped";
  created_at: string;
  image?: string;
  repo_url?: string;
}

/** The texts of the element; see `TEXTS` in element/texts.js for the English ones. */
export interface LaunchTexts {
  launch: string;
  asking: string;
  resuming: string;
  /** To a visitor whose launch it is not; so are the others that end in "Elsewhere". */
  resumingElsewhere: string;
  waiting: string;
  launching: string;
  launchingElsewhere: string;
  ready: string;
  readyElsewhere: string;
  failed: string;
  cancelling: string;
  cancelled: string;
  stopped: string;
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
  /** Before the launch is known to be accepted. */
  offline: string;
  offlineUnderWay: string;
  unreachable: string;
  unreachableAdvice: string;
  /** For a problem with the code `already_launching`; so are the others that end in "Advice". */
  alreadyLaunchingAdvice: string;
  launchNotFoundAdvice: string;
  rateLimitedAdvice: string;
  unauthenticatedAdvice: string;
  blocked: string;
  open: string;
  openHint: string;
  cancel: string;
  retry: string;
  again: string;
  another: string;
  details: string;
  log: string;
  /** With {id}. */
  id: string;
}

/** What a framework may set, as properties of the element. */
export interface HubLaunchProps {
  image?: string;
  repoUrl?: string;
  path?: string;
  service?: string;
  open?: "same" | "new" | "none";
  launchId?: string | null;
  secret?: string | null;
  texts?: Partial<LaunchTexts>;
}

export interface HubLaunchEventMap {
  /** A launch was accepted, or one that this browser had asked for before was found again. */
  launch: CustomEvent<Launch>;
  progress: CustomEvent<LaunchEvent>;
  /** `preventDefault()` keeps the element from opening the server. */
  ready: CustomEvent<LaunchEvent>;
  /** The launch failed, or was not accepted: then there is only a `problem`. */
  failed: CustomEvent<{ problem: Problem } & Partial<LaunchEvent>>;
  cancelled: CustomEvent<Partial<LaunchEvent>>;
  /** The server of a launch that was ready has ended. */
  stopped: CustomEvent<Launch>;
}

export class HubLaunch extends HTMLElement {
  image: string;
  repoUrl: string;
  /** A path inside the server to open. */
  path: string;
  /** The address below which hublaunch is served; by default where the module came from. */
  service: string;
  open: "same" | "new" | "none";
  /** A launch to show, wherever it was asked for. */
  launchId: string | null;
  /** The secret of that launch. */
  secret: string | null;
  /** All texts; setting it changes those that are given. */
  get texts(): LaunchTexts;
  set texts(texts: Partial<LaunchTexts>);
  readonly phase: LaunchPhase;
  /** As a click does; with `another` a new launch even if the one of before stands. */
  launch(options?: { another?: boolean }): Promise<void>;
  cancel(): Promise<void>;
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
