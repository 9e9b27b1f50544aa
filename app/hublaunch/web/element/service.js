// The calls to hublaunch, and what their failures mean for whoever made them.

const TIMEOUT_MS = 30_000;

/** No answer, or one that leaves open whether the service acted: the same call may be made again. */
export class Unreachable extends Error {}

/** The service has answered, and the answer is no. `problem` says why and what to do next (RFC 9457). */
export class Refused extends Error {
  constructor(problem) {
    super(problem.title);
    this.problem = problem;
  }

  /** There is no such launch, or not any more. */
  get isGone() {
    return this.problem.status === 404 || this.problem.status === 410;
  }
}

export class Service {
  #base;
  /** How far this machine's clock is behind the service's, in milliseconds. */
  skewMs = 0;

  /** `base` is the address below which hublaunch is served, ending in a slash. */
  constructor(base) {
    this.#base = base;
  }

  url(path) {
    return new URL(path, this.#base);
  }

  /**
   * Ask for a launch; the answer is the same for the same key, however often it is asked. With `mayReuse` a Hub user is
   * given the one they have, wherever they asked for it; unless a path is named, as that one may open another.
   */
  launch({ image, repoUrl, path }, { key, mayReuse, signal }) {
    const body = { image, ...(repoUrl && { repo_url: repoUrl }), ...(path && { path }) };
    if (mayReuse && !path) body.if_running = "reuse";
    return this.#call("POST", "launch", { body, key, signal });
  }

  get(id, { secret, signal } = {}) {
    return this.#call("GET", `launch/${id}`, { secret, signal });
  }

  /** Null once it is over; the launch while that is under way. */
  cancel(id, { secret, signal } = {}) {
    return this.#call("DELETE", `launch/${id}`, { secret, signal });
  }

  events(id, { secret, after }) {
    const url = this.url(`launch/${id}/events`);
    if (secret) url.searchParams.set("secret", secret);
    if (after) url.searchParams.set("after", after);
    return new EventSource(url);
  }

  async #call(method, path, { body, key, secret, signal }) {
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    if (secret) headers["X-Launch-Secret"] = secret;
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let answer;
    let content = null;
    try {
      answer = await fetch(this.url(path), {
        method,
        headers,
        body: body && JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        cache: "no-store",
      });
      const text = await answer.text();
      if (/\bjson\b/.test(answer.headers.get("Content-Type"))) content = JSON.parse(text);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Unreachable();
    }
    this.#learnClock(answer);
    if (answer.ok) return content;
    throw isUnclear(method, answer, content) ? new Unreachable() : new Refused(content ?? { title: `HTTP ${answer.status}` });
  }

  #learnClock(answer) {
    const at = Date.parse(answer.headers.get("Date"));
    // The header counts whole seconds: within one, the clocks agree.
    if (!Number.isNaN(at) && Math.abs(at - Date.now()) > 1500) this.skewMs = at - Date.now();
  }
}

/**
 * Whether a proxy has spoken for the service, the service is being stopped, or has been asked too often of late; or it
 * cannot tell now, as where the Hub is down that knows the visitor: that says nothing of the launch.
 */
function isUnclear(method, { status }, content) {
  if (method !== "POST" && (status === 429 || status >= 500)) return true;
  if (content?.code === "service_stopping") return true;
  return !content?.code && [408, 429, 502, 503, 504].includes(status);
}
