// An EventSource on /build, read as Thebe reads it: prints each message as a line of JSON, until `ready` or `failed`.
//
// node event_source.mjs URL [stubborn]
//
// Thebe closes at every error; `stubborn` leaves that to the EventSource, which reconnects, and never closes it.

import { EventSource } from "eventsource";

const [url, stubborn] = process.argv.slice(2);
const source = new EventSource(url);

source.onerror = () => {
  process.stdout.write(`${JSON.stringify({ error: source.readyState === EventSource.CLOSED ? "closed" : "lost" })}\n`);
  if (!stubborn) {
    source.close();
  }
};
source.onmessage = (message) => {
  const event = JSON.parse(message.data);
  process.stdout.write(`${JSON.stringify(event)}\n`);
  if (!stubborn && ["ready", "failed"].includes(event.phase)) {
    source.close();
  }
};
