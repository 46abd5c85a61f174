// Whose work this is, and under which licences.
import { broken, h, loading, pageHead } from "../parts.js";

const PARTS = [
  { name: "lanman", about: "This console, and the program that serves it.", file: "LICENSE" },
  { name: "uPlot 1.6.32", about: "The charts of the page History. By Leon Sorokin.", file: "vendor/uplot/LICENSE" },
];

export function show(element) {
  element.append(pageHead("Licences", { about: "Nothing on this page, or of this console, is loaded from elsewhere." }));
  for (const part of PARTS) {
    const text = h("div", {}, loading("Reading the licence"));
    element.append(h("section", { class: "card" }, h("h2", {}, part.name), h("p", {}, part.about), text));
    read(part.file, text);
  }
}

async function read(file, element) {
  try {
    const response = await fetch(new URL(file, document.baseURI));
    if (!response.ok) throw new Error(`status ${response.status}`);
    element.replaceChildren(h("pre", { tabindex: "0" }, await response.text()));
  } catch (error) {
    element.replaceChildren(broken(`The licence could not be read: ${error.message}`, "It lies in the package of lanman too."));
  }
}
