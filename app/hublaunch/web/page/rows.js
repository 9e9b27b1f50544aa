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
    for (const [name, row] of this.#rows) if (!kept.has(name)) row.remove();
    this.#rows = kept;
    if (focused !== document.activeElement && focused.isConnected) focused.focus(); // it was in a row that moved
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
