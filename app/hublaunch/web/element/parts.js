// The building blocks of the view.

/** An element with a part name, so that pages can style it. */
export function part(tag, name, attributes = {}, ...children) {
  const made = document.createElement(tag);
  if (name) made.setAttribute("part", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

export function button(name, act) {
  const made = part("button", `button ${name}`, { type: "button" });
  made.addEventListener("click", act);
  return made;
}

/** Show the text, or nothing if it is empty. */
export function write(element, text) {
  element.hidden = text === "";
  if (element.textContent !== text) element.textContent = text;
}

export function isHidden(element) {
  return element.closest("[hidden]") !== null;
}
