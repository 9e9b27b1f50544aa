// The real @jupyterhub/binderhub-client: prints each event as a line of JSON, until `ready` or the second `failed`.
//
// node --experimental-detect-module binderhub_client.mjs BUILD_URL SPEC OPTIONS
//
// Like a page, it fetches again if the first fetch fails, and spends some time on `ready`, as if it checked the server.

import { setTimeout as pause } from "node:timers/promises";

// What the package takes from the browser.
globalThis.window = globalThis;
globalThis.document = { cookie: "", addEventListener() {}, removeEventListener() {} };
// A fetch that has failed is also a promise that nobody awaits, which a browser would only log.
process.on("unhandledRejection", () => {});
console.log = console.error;

const { BinderRepository } = await import("@jupyterhub/binderhub-client/client.js");
const [buildUrl, spec, options] = process.argv.slice(2);
const repository = new BinderRepository(spec, new URL(buildUrl), JSON.parse(options));

for (let fetches = 0, isReady = false; fetches < 2 && !isReady; fetches += 1) {
  for await (const event of repository.fetch()) {
    process.stdout.write(`${JSON.stringify(event)}\n`);
    if (event.phase === "ready") {
      isReady = true;
      await pause(300);
      repository.close();
    }
  }
}
