// Elements from data. Text only ever goes in as text: identities, comments and SSIDs come
// from routers, and some of them from strangers.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name === "class") element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Writes only what differs: an untouched node costs no layout.
export function setText(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}

export function setData(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 100;
const HEIGHT = 26;

export class Trend {
  constructor(className = "") {
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", `trend ${className}`.trim());
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    this.area = document.createElementNS(SVG, "path");
    this.area.setAttribute("class", "area");
    this.line = document.createElementNS(SVG, "path");
    this.svg.append(this.area, this.line);
    this.drawn = "";
  }

  draw(values, top = Math.max(...values) * 1.15) {
    let path = "";
    if (values.length > 1) {
      const step = WIDTH / (values.length - 1);
      const scale = top > 0 ? (HEIGHT - 2) / top : 0;
      path = values
        .map((value, n) => `${n ? "L" : "M"}${(n * step).toFixed(1)} ${(HEIGHT - 1 - value * scale).toFixed(1)}`)
        .join("");
    }
    if (path === this.drawn) return;
    this.drawn = path;
    this.line.setAttribute("d", path);
    this.area.setAttribute("d", path ? `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` : "");
  }
}
