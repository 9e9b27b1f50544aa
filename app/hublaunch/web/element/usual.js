// How long a start usually takes, according to the service, and how far this one is by that.

const PERCENT_AT_P50 = 80;
const PERCENT_AT_P90 = 95;

/** Return the basis of the service's estimate in milliseconds, with instants of this machine's clock. */
export function usualOf({ p50_s, p90_s, passed_s }, now) {
  const admittedAt = now - passed_s * 1000;
  return { admittedAt, p50Ms: p50_s * 1000, p90Ms: p90_s * 1000 };
}

/** Whether the start takes longer than nine of ten. */
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
