// One tab at a time, and the entry that the previous tab has just written.
//
// Tabs are separate processes, and localStorage reaches other tabs late: a browser passes a lock on before the next tab
// sees the entry that was written under the lock. But every tab sees the names of held locks immediately. So a new
// entry is announced as the name of a lock.
//
// Browsers have locks on secure pages only, and deny them where they deny storage. The work then runs without a lock.

const ANNOUNCED_MS = 5000;

/** Return the result of `work()`. No other tab runs it for this name meanwhile. */
export async function alone(name, work) {
  let isGranted = false;
  try {
    if (navigator.locks) {
      return await navigator.locks.request(name, () => {
        isGranted = true;
        return work();
      });
    }
  } catch (error) {
    if (isGranted) throw error;
  }
  return await work();
}

/** Announce this entry to every tab for some seconds, or until the returned function is called. */
export async function announce(name, entry) {
  const { promise: isOver, resolve: end } = Promise.withResolvers();
  const { promise: isTold, resolve: told } = Promise.withResolvers();
  setTimeout(end, ANNOUNCED_MS);
  const hold = () => {
    told();
    return isOver;
  };
  if (navigator.locks) navigator.locks.request(`${name} ${JSON.stringify(entry)}`, hold).catch(told);
  else told();
  await isTold;
  return end;
}

/** The entries of this name that tabs announce. */
export async function announced(name) {
  const { held = [] } = (await navigator.locks?.query().catch(() => null)) ?? {};
  const prefix = `${name} `;
  return held.filter((lock) => lock.name.startsWith(prefix)).map((lock) => JSON.parse(lock.name.slice(prefix.length)));
}
