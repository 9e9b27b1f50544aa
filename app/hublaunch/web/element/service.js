// The calls to hublaunch, and what their failures mean for the caller.

const TIMEOUT_MS = 30_000;

/** No answer, or an unclear one: the service may have acted. The call may be repeated. */
export class Unreachable extends Error {}

/** The service refused. `problem` says why and what to do next (RFC 9457). */
export class Refused extends Error {
  constructor(problem) {
    super(problem.title);
    this.problem = problem;
  }

  /** The launch does not exist, or has expired. */
  get isGone() {
    return this.problem.status === 404 || this.problem.status === 410;
  }
}

export class Service {
  #base;
  #invitation;
  /** Milliseconds by which this machine's clock is behind the service's. */
  skewMs = 0;

  /** `base` is the base URL of hublaunch, ending in a slash; `invitation` the code to launch with, or `""`. */
  constructor(base, { invitation = "" } = {}) {
    this.#base = base;
    this.#invitation = invitation;
  }

  url(path) {
    return new URL(path, this.#base);
  }

  /**
   * Launch. A repeated key returns the same launch. With `mayReuse` a Hub user gets the launch that they already have,
   * wherever they launched it; but not if a path is named, because that launch may open another path.
   */
  launch({ image, environment, size, repoUrl, repoRef, path }, { key, mayReuse, signal }) {
    const asked = { image, environment, size, repo_url: repoUrl, ref: repoRef, path };
    const body = Object.fromEntries(Object.entries(asked).filter(([, value]) => value));
    if (mayReuse && !path) body.if_running = "reuse";
    return this.#call("POST", "launch", { body, key, signal, code: this.#invitation });
  }

  get(id, { secret, signal } = {}) {
    return this.#call("GET", `launch/${id}`, { secret, signal });
  }

  /** Cancel. Return null once it has ended, the launch while it is being cancelled. */
  cancel(id, { secret, signal } = {}) {
    return this.#call("DELETE", `launch/${id}`, { secret, signal });
  }

  /** Let the server run longer. A repeated key extends once. Return the launch. */
  extend(id, { seconds, key, secret, signal }) {
    return this.#call("POST", `launch/${id}/extend`, { body: { seconds }, key, secret, signal });
  }

  events(id, { secret, after }) {
    const url = this.url(`launch/${id}/events`);
    if (secret) url.searchParams.set("secret", secret);
    if (after) url.searchParams.set("after", after);
    return new EventSource(url);
  }

  async #call(method, path, { body, key, secret, signal, code }) {
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    if (secret) headers["X-Launch-Secret"] = secret;
    if (code) headers.Authorization = `Bearer ${code}`;
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

  /** The service's own page that shows the launch, or asks the visitor whether to launch this. */
  pageOf({ image, environment, size, repoUrl, repoRef, path }, id) {
    if (id) return this.url(`launch/${id}/view`).href;
    const url = this.url("");
    const asked = { image, environment, size, repo_url: repoUrl, ref: repoRef, path };
    for (const [name, value] of Object.entries(asked)) if (value) url.searchParams.set(name, value);
    return url.href;
  }

  /** Tell the page's developer in the console what the operator has to change. */
  explainOrigin() {
    const { origin } = location;
    const remedy =
      origin === "null"
        ? "This page has no origin, because it is a file or a sandboxed frame. Serve it from a web server whose origin the operator can add to LAUNCHER_CORS_ORIGINS."
        : `Ask its operator to add ${origin} to LAUNCHER_CORS_ORIGINS. In the demo: hublaunch demo --cors ${origin}`;
    console.error(`<hub-launch>: the service at ${this.#base} does not let pages of ${origin} launch. ${remedy}`);
  }

  /**
   * Whether the service answers, but not to pages of this origin. The browser hides why a call fails. So ask for a file
   * that pages of every origin may read, then for an answer that needs the operator's permission.
   */
  async refusesOrigin(signal) {
    if (new URL(this.#base).origin === location.origin) return false;
    return (await this.#answers("static/hub-launch.js", signal)) && !(await this.#answers("session", signal));
  }

  async #answers(path, signal) {
    const given = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    try {
      await fetch(this.url(path), { signal: given, cache: "no-store", credentials: "omit" });
      return true;
    } catch {
      return false;
    }
  }

  #learnClock(answer) {
    const at = Date.parse(answer.headers.get("Date"));
    // The header counts whole seconds: within a second, the clocks agree.
    if (!Number.isNaN(at) && Math.abs(at - Date.now()) > 1500) this.skewMs = at - Date.now();
  }
}

/**
 * Whether the answer says nothing about the launch: a proxy answered for the service, the service is stopping, a rate
 * limit applies, or the Hub is down and cannot identify the visitor.
 */
function isUnclear(method, { status }, content) {
  if (method !== "POST" && (status === 429 || status >= 500)) return true;
  if (content?.code === "service_stopping") return true;
  return !content?.code && [408, 429, 502, 503, 504].includes(status);
}
