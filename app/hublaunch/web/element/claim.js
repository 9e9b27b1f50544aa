// One tab at a time, and what the tab before has just written.
//
// Tabs are processes of their own, and localStorage is late between them: a browser hands a lock on before the next tab
// sees what was written under it. Held locks are known to every tab at once, so a new entry is told as the name of one.
//
// Browsers have locks on secure pages only, and deny them where they deny storage. There, work goes on without.

const ANNOUNCED_MS = 5000;

/** The result of `work()`, which no other tab does for this name meanwhile. */
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

/** Tell every tab of this entry for some seconds, or until the function that is returned is called. */
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
