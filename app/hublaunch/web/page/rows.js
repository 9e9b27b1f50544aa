// The rows of a table that changes while people read it: rows stay, and only texts that changed are written.

import { element } from "./account.js";

export class Rows {
  #body;
  #labels;
  #make;
  #texts;
  #rows = new Map();

  /** `make(entry)` returns the content of each cell; `texts(entry)` the texts that change, by the number of the cell. */
  constructor(body, { labels, make, texts = () => ({}) }) {
    this.#body = body;
    this.#labels = labels;
    this.#make = make;
    this.#texts = texts;
  }

  get section() {
    return this.#body.closest("section");
  }

  /** Show these entries in this order; `key` names the property that tells them apart. */
  show(entries, key) {
    const focused = document.activeElement;
    const kept = new Map();
    entries.forEach((entry, place) => {
      const row = this.#rows.get(entry[key]) ?? this.#row(entry);
      kept.set(entry[key], row);
      for (const [cell, text] of Object.entries(this.#texts(entry))) {
        if (row.cells[cell].textContent !== String(text)) row.cells[cell].textContent = text;
      }
      if (this.#body.children[place] !== row) this.#body.insertBefore(row, this.#body.children[place] ?? null);
    });
    const gone = [...this.#rows].filter(([name]) => !kept.has(name)).map(([, row]) => row);
    const heir = gone.some((row) => row.contains(focused)) ? this.#nextTo(focused, gone) : focused;
    for (const row of gone) row.remove();
    this.#rows = kept;
    if (heir !== document.activeElement && heir.isConnected) heir.focus(); // its row moved, or another row is gone
  }

  /** Return the control that takes over the focus from a row that goes: the next row's, the one's before, or the title. */
  #nextTo(focused, gone) {
    const rows = [...this.#body.children];
    const place = rows.findIndex((row) => row.contains(focused));
    const stays = (row) => !gone.includes(row) && row.querySelector("button, a");
    const row = rows.slice(place).find(stays) ?? rows.slice(0, place).findLast(stays);
    return row?.querySelector("button, a") ?? this.section.querySelector("h2");
  }

  #row(entry) {
    const cells = this.#make(entry).map((content, n) => {
      const cell = element("td", {}, ...[content].flat());
      cell.dataset.label = this.#labels[n];
      return cell;
    });
    return element("tr", {}, ...cells);
  }
}
