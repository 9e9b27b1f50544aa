// The events of a launch with fetch and eventsource-parser, as a program without EventSource reads them: prints each
// message as a line of JSON with its id, asks again with Last-Event-ID where a stream breaks or ends, and ends at a 204.
//
// node follow_fetch.mjs EVENTS_URL SECRET

import { setTimeout as pause } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";

const [url, secret] = process.argv.slice(2);
let lastEventId = "";
let retryMs = 500;

for (;;) {
  try {
    const headers = { Accept: "text/event-stream", "X-Launch-Secret": secret };
    if (lastEventId) {
      headers["Last-Event-ID"] = lastEventId;
    }
    const response = await fetch(url, { headers });
    if (response.status === 204) {
      process.stdout.write(`${JSON.stringify({ closed: 204 })}\n`);
      break;
    }
    const onRetry = (ms) => {
      retryMs = ms;
    };
    const messages = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream({ onRetry }));
    for await (const { id, event, data } of messages) {
      if (event === undefined) {
        lastEventId = id;
        process.stdout.write(`${JSON.stringify({ id, ...JSON.parse(data) })}\n`);
      }
    }
  } catch (error) {
    process.stderr.write(`${error}\n`);
  }
  await pause(retryMs);
}
