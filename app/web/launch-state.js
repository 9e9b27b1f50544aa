// What is shown of a launch: made by launch-run.js, shown by launch-panel.js.

const UNDER_WAY = new Set(["asking", "resuming", "waiting", "launching"]);

/** The state of no launch, which every other is made from. Instants are milliseconds by the service's clock. */
export const IDLE = Object.freeze({
  /** idle, asking, resuming, waiting, launching, ready, failed, cancelled or stopped */
  phase: "idle",
  id: null,
  message: "",
  progress: 0,
  attempt: 1,
  position: null,
  startedAt: null,
  endedAt: null,
  isConnected: true,
  isCancelling: false,
  /** Whether who looks may cancel it. */
  isOwn: false,
  problem: null,
  openUrl: null,
  events: [],
});

export function isUnderWay({ phase }) {
  return UNDER_WAY.has(phase);
}

/** The address, if it is one that a browser may be sent to. */
export function webUrl(text) {
  return /^https?:\/\//i.test(text ?? "") ? text : null;
}
