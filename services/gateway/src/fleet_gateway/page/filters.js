// Search, tenant and state: the buttons with their counts, and the test of a device.

import { make, setText } from "./dom.js";
import { count } from "./format.js";

const STATES = [
  { id: "", label: "All" },
  { id: "up", label: "Up" },
  { id: "down", label: "Down" },
  { id: "silent", label: "Silent" },
  { id: "upgrade", label: "Upgrade" },
];

export class Filters {
  constructor(search, tenants, states, onChange) {
    this.search = search;
    this.tenants = tenants;
    this.states = states;
    this.onChange = onChange;
    this.tenant = "";
    this.state = "";
    this.words = [];
    this.buttons = new Map();
    search.addEventListener("input", () => {
      this.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      onChange();
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLInputElement;
      if (event.key === "/" && !typing && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        search.focus();
      }
      if (event.key === "Escape" && event.target === search && search.value) {
        event.stopImmediatePropagation();
        search.value = "";
        search.dispatchEvent(new Event("input"));
      }
    }, { capture: true });
    for (const { id, label } of STATES) this.button(states, "state", id, label);
    this.button(tenants, "tenant", "", "All tenants");
  }

  button(group, field, id, label) {
    const name = make("span", {}, label);
    const number = make("span", { class: "n" });
    const button = make("button", { type: "button", "aria-pressed": "false" }, name, number);
    button.addEventListener("click", () => {
      this[field] = this[field] === id ? "" : id;
      this.mark();
      this.onChange();
    });
    group.append(button);
    this.buttons.set(`${field}:${id}`, { button, number, field, id });
    this.mark();
  }

  mark() {
    for (const { button, field, id } of this.buttons.values()) {
      button.setAttribute("aria-pressed", String(this[field] === id));
    }
  }

  showTotals(totals) {
    for (const name of [...totals.tenants.keys()].sort()) {
      if (!this.buttons.has(`tenant:${name}`)) this.button(this.tenants, "tenant", name, name);
    }
    for (const [key, { button, number, field, id }] of this.buttons) {
      if (field === "tenant" && id) {
        const tenant = totals.tenants.get(id);
        if (!tenant) {
          button.remove();
          this.buttons.delete(key);
          if (this.tenant === id) this.tenant = "";
          continue;
        }
        setText(number, tenant.up === tenant.devices ? count(tenant.devices) : `${count(tenant.up)}/${count(tenant.devices)}`);
        button.title = `${tenant.up} of ${tenant.devices} up`;
      } else if (field === "state" && id) {
        const n = id === "upgrade" ? totals.upgrades : totals[id];
        setText(number, count(n));
        button.hidden = id === "silent" && n === 0 && this.state !== "silent";
      }
    }
    this.tenants.hidden = totals.tenants.size < 2;
    this.mark();
  }

  passes(device, nowMs) {
    if (this.tenant && device.tenant !== this.tenant) return false;
    if (this.state === "upgrade") {
      if (device.verdict !== "upgrade_available") return false;
    } else if (this.state && device.state(nowMs) !== this.state) {
      return false;
    }
    return this.words.every((word) => device.searchText.includes(word));
  }

  get active() {
    return Boolean(this.tenant || this.state || this.words.length);
  }
}
