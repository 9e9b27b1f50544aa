// An EventSource on the events of a launch, left to itself: prints each message as a line of JSON with its id, and ends
// when it has closed, which it does by itself once the service says that all was delivered.
//
// node follow_event_source.mjs EVENTS_URL

import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);

source.onmessage = (message) => {
  process.stdout.write(`${JSON.stringify({ id: message.lastEventId, ...JSON.parse(message.data) })}\n`);
};
source.onerror = (error) => {
  if (source.readyState === EventSource.CLOSED) {
    process.stdout.write(`${JSON.stringify({ closed: error.code })}\n`);
  }
};
