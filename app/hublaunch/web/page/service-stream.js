// Follows the whole service for an admin, through lost connections and restarts.
//
// An EventSource cannot send the credential of an admin link, so the stream is read with fetch.

import { SERVICE } from "./account.js";

const SILENT_MS = 40_000; // the service says something every 15 s
const PAUSE_MS = [1000, 3000];

/**
 * Report to `on`:
 *
 *   on.overview(seen)      what the service does
 *   on.connection(is)      whether the service answers
 *   on.refused(problem)    this browser may not see it, so following stops
 */
export async function followService({ code, on, signal }) {
  while (!signal.aborted) {
    const attempt = new AbortController();
    const silence = watchdog(() => attempt.abort());
    try {
      const problem = await read({ code, on, signal: AbortSignal.any([signal, attempt.signal]), heard: silence.heard });
      if (problem) return on.refused(problem);
    } catch {
      // The connection is lost, or the service is restarted.
    } finally {
      silence.end();
    }
    if (signal.aborted) return;
    on.connection(false);
    const [least, most] = PAUSE_MS;
    await new Promise((resolve) => setTimeout(resolve, least + Math.random() * (most - least)));
  }
}

/** Read one answer to its end. Return the problem if this browser is refused. Throws if the connection is lost. */
async function read({ code, on, signal, heard }) {
  const headers = { Accept: "text/event-stream", ...(code && { Authorization: `Bearer ${code}` }) };
  const answer = await fetch(new URL("admin/events", SERVICE), { headers, signal, cache: "no-store" });
  if ([401, 403].includes(answer.status)) return { status: answer.status, ...(await answer.json()) };
  if (!answer.ok) throw new Error(answer.statusText);
  on.connection(true);
  let rest = "";
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    heard();
    const blocks = (rest + piece).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data: "));
      if (block.includes("event: overview\n")) on.overview(JSON.parse(data.slice(6)));
    }
  }
  return null;
}

function watchdog(act) {
  let timer = setTimeout(act, SILENT_MS);
  return {
    heard() {
      clearTimeout(timer);
      timer = setTimeout(act, SILENT_MS);
    },
    end: () => clearTimeout(timer),
  };
}
