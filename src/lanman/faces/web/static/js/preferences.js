/* What a person has chosen for the lists of this browser: columns, order, how times are shown. Kept in localStorage.
 *
 *   - What is kept has a version. An older one is upgraded step by step when it is read; a newer one (of a console that
 *     was newer) is neither used nor written over; what cannot be read is as if nothing were kept.
 *   - Nothing secret and nothing of a server's is kept: names of columns, and words.
 *   - A browser that keeps nothing (private windows, a full disk) costs no more than that.
 */

export const VERSION = 1;
const NAME = "lanman.lists";

/* What makes version n + 1 of version n. */
const UPGRADES = {};

/** What is kept, `{version, times, lists: {session: {columns, sort}}}`; `isNewer` where it must not be written over. */
export function upgraded(text, upgrades = UPGRADES, newest = VERSION) {
  const fresh = { version: newest, times: "relative", lists: {} };
  let kept;
  try {
    kept = JSON.parse(text);
  } catch {
    return fresh;
  }
  if (kept === null || typeof kept !== "object" || !Number.isInteger(kept.version)) return fresh;
  if (kept.version > newest) return { ...fresh, isNewer: true };
  while (kept.version < newest) {
    const step = upgrades[kept.version];
    if (step === undefined) return fresh;
    kept = { ...step(kept), version: kept.version + 1 };
  }
  const lists = kept.lists !== null && typeof kept.lists === "object" ? kept.lists : {};
  return { version: newest, times: kept.times === "absolute" ? "absolute" : "relative", lists };
}

export class Preferences {
  constructor(storage = safeStorage()) {
    this.storage = storage;
    this.kept = upgraded(storage?.getItem(NAME) ?? "");
  }

  get times() {
    return this.kept.times;
  }

  set times(times) {
    this.kept.times = times;
    this.#write();
  }

  /** The ids of the columns of a list, in their order; `usual` where none are chosen, or none of them is known. */
  columns(list, known, usual) {
    const chosen = this.kept.lists[list]?.columns;
    const found = Array.isArray(chosen) ? [...new Set(chosen)].filter((id) => known.includes(id)) : [];
    return found.length ? found : usual;
  }

  /** The order of a list, `{column, down}`; null for none. */
  sort(list, known) {
    const sort = this.kept.lists[list]?.sort;
    return sort && known.includes(sort.column) ? { column: sort.column, down: sort.down === true } : null;
  }

  keep(list, { columns, sort }) {
    this.kept.lists[list] = { columns, sort };
    this.#write();
  }

  #write() {
    if (this.kept.isNewer) return;
    try {
      this.storage?.setItem(NAME, JSON.stringify(this.kept));
    } catch {
      // A full or forbidden storage: the choice holds as long as the page.
    }
  }
}

function safeStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
