// How long a start usually takes, according to the service, and how far along this one is.

const PERCENT_AT_P50 = 80;
const PERCENT_AT_P90 = 95;

/** Return the estimate that holds after an event, in milliseconds; `before` if the event does not change it. */
export function usualOf({ at, expected_basis: basis }, before) {
  if (basis === undefined) return before;
  if (basis === null) return null;
  const { p50_s, p90_s, passed_s } = basis;
  return { admittedAt: Date.parse(at) - passed_s * 1000, p50Ms: p50_s * 1000, p90Ms: p90_s * 1000 };
}

/** Whether the start takes longer than nine of ten. `now`: by the service's clock, as are all instants. */
export function isLong({ admittedAt, p90Ms }, now) {
  return now - admittedAt > p90Ms;
}

/** The progress by the time that has passed, in percent. It never reaches the end, which only the service knows. */
export function percent({ admittedAt, p50Ms, p90Ms }, now) {
  const passed = Math.max(0, now - admittedAt);
  if (passed >= p90Ms) return PERCENT_AT_P90;
  if (passed < p50Ms) return (PERCENT_AT_P50 * passed) / p50Ms;
  return PERCENT_AT_P50 + ((PERCENT_AT_P90 - PERCENT_AT_P50) * (passed - p50Ms)) / (p90Ms - p50Ms);
}
