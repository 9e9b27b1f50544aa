// The cards from which a visitor chooses an environment of the catalogue, and its size; or an image of their own.

import { element } from "./account.js";

const find = (id) => document.getElementById(id);

export class Choices {
  #environments = [];

  /** `changed()` is called when the visitor has chosen. */
  constructor({ changed }) {
    find("environments").addEventListener("change", () => {
      this.#showFields("");
      changed();
    });
    find("sizes").addEventListener("change", changed);
  }

  /**
   * Show what the visitor may launch, with `wanted` chosen if it is offered; otherwise the first environment. With an
   * image in `wanted`, or without environments, the visitor names an image.
   */
  show({ environments, images }, wanted) {
    this.#environments = environments;
    const own = { name: "", title: "Another image", description: "Name a container image yourself." };
    const shown = environments.length && images.length ? [...environments, own] : environments;
    const isKnown = environments.some(({ name }) => name === wanted.environment);
    const chosen = isKnown ? wanted.environment : wanted.image && images.length ? "" : environments[0]?.name;
    find("environments").hidden = environments.length === 0;
    find("environment-cards").replaceChildren(...shown.map((one) => card("environment", one, one.name === chosen)));
    this.#showFields(isKnown ? wanted.size : "");
  }

  /** The names of the environment and the size; `""` for an image of the visitor's own, and where there is no choice. */
  get names() {
    return { environment: chosenIn("environment"), size: chosenIn("size") };
  }

  /** The titles of the environment and the size, as `names` has them. */
  get titles() {
    const environment = this.#chosen;
    const size = environment?.sizes.find(({ name }) => name === this.names.size);
    return { environment: environment?.title ?? "", size: size?.title ?? "" };
  }

  get #chosen() {
    return this.#environments.find(({ name }) => name === this.names.environment);
  }

  /** Show what the chosen environment needs: its sizes with `wanted` chosen, the hint of a path, or the field of an image. */
  #showFields(wanted) {
    const sizes = this.#chosen?.sizes ?? [];
    const chosen = sizes.some(({ name }) => name === wanted) ? wanted : sizes[0]?.name;
    find("sizes").hidden = sizes.length === 0;
    find("size-cards").replaceChildren(...sizes.map((one) => card("size", one, one.name === chosen)));
    const isFetched = ["nbgitpuller", "spawner"].includes(this.#chosen?.content);
    find("path").placeholder = isFetched ? "index.ipynb" : "lab/tree/index.ipynb";
    find("path-hint").textContent = isFetched ? "A path in the repository." : "A path inside the server.";
    const isOwn = this.#chosen === undefined;
    find("image-field").hidden = !isOwn;
    find("image").required = isOwn;
  }
}

function card(group, { name, title, description }, isChosen) {
  const choice = element("input", { type: "radio", name: group, value: name, checked: isChosen });
  const id = `${group}-${name}`;
  const words = [element("span", { id, textContent: title })];
  choice.setAttribute("aria-labelledby", id);
  if (description) {
    words.push(element("span", { id: `${id}-hint`, className: "hint", textContent: description }));
    choice.setAttribute("aria-describedby", `${id}-hint`);
  }
  return element("label", { className: "choice" }, choice, ...words);
}

function chosenIn(group) {
  return document.querySelector(`input[name=${group}]:checked`)?.value ?? "";
}
