// The titles of environments and sizes, by which visitors know them.

import { ask } from "./account.js";
import { invitation } from "./invitation.js";

/**
 * Return these launches, each with `titles`: those of its environment and size as the catalogue has them now. A name
 * that is no longer in the catalogue, or is not offered to this visitor, is its own title.
 */
export async function withTitles(launches) {
  if (!launches.some(({ environment }) => environment)) return launches.map((launch) => ({ ...launch, titles: {} }));
  const answer = await ask("catalogue", { code: invitation() }).catch(() => null);
  const environments = answer?.ok ? (await answer.json()).environments : [];
  return launches.map((launch) => ({ ...launch, titles: titlesOf(launch, environments) }));
}

function titlesOf({ environment, size }, environments) {
  const offered = environments.find(({ name }) => name === environment);
  const offeredSize = offered?.sizes.find(({ name }) => name === size);
  return { environment: offered?.title ?? environment, size: offeredSize?.title ?? size };
}
