// The fleet table: thousands of devices, a screenful of rows. Rows are recycled while
// scrolling, and only those whose device changed are written.

import { Trend, make, setData, setText } from "./dom.js";
import { NOTHING, ago, bitRate, count, duration, percent, words } from "./format.js";

const ROW_PX = 48;
const EXTRA_ROWS = 6;
const STATE_ORDER = { down: 0, silent: 1, unknown: 2, up: 3 };
const NATURAL = new Intl.Collator("en", { numeric: true });

const text = (read) => (a, b) => NATURAL.compare(read(a), read(b));
// Devices without a value stand last in both directions.
const number = (read) => {
  const compare = (a, b) => read(a) - read(b);
  compare.missing = (device) => read(device) === null;
  return compare;
};

export const COLUMNS = [
  { id: "device", label: "Device", compare: text((d) => d.identity) },
  { id: "tenant", label: "Tenant", compare: text((d) => d.tenant) },
  { id: "board", label: "Board", compare: text((d) => d.board) },
  { id: "version", label: "Version", compare: text((d) => d.osVersion) },
  { id: "cpu", label: "CPU", compare: number((d) => d.cpu), descendingFirst: true },
  { id: "memory", label: "Memory", compare: number((d) => d.memory), number: true, descendingFirst: true },
  { id: "rx", label: "In", compare: number((d) => d.rxRate), number: true, descendingFirst: true },
  { id: "tx", label: "Out", compare: number((d) => d.txRate), number: true, descendingFirst: true },
  { id: "trend", label: "Traffic" },
  { id: "clients", label: "Clients", compare: number((d) => d.clients), number: true, descendingFirst: true },
  { id: "uptime", label: "Uptime", compare: number((d) => d.uptime), number: true },
  { id: "seen", label: "Last seen", compare: number((d) => d.lastSeenMs), number: true, descendingFirst: true },
];

class Row {
  constructor(onOpen) {
    this.device = null;
    this.drawnVersion = -1;
    this.state = "";
    const cell = (id, ...children) =>
      make("div", { class: `cell c-${id}`, role: "cell" }, ...children);
    const numeric = (id) => make("div", { class: `cell number c-${id}`, role: "cell" });
    this.main = make("div", { class: "main" });
    // Where there is no room for the tenant's column: names are unique in a tenant only.
    this.place = make("span", { class: "place" });
    this.rest = make("span", { class: "rest" });
    this.sub = make("div", { class: "sub" }, this.place, this.rest);
    this.dot = make("span", { class: "dot", role: "img" });
    this.tenant = cell("tenant");
    this.board = cell("board");
    this.versionText = make("span");
    this.badge = make("span", { class: "badge" });
    this.fill = make("div", { class: "fill" });
    this.cpuText = make("span", { class: "value" });
    this.meter = make("div", { class: "meter" }, make("div", { class: "bar" }, this.fill), this.cpuText);
    this.memory = numeric("memory");
    this.rx = numeric("rx");
    this.tx = numeric("tx");
    this.trend = new Trend();
    this.clients = numeric("clients");
    this.uptime = numeric("uptime");
    this.seen = numeric("seen");
    this.element = make(
      "div", { class: "row", role: "row", tabindex: "-1" },
      cell("device", make("div", { class: "device" }, this.dot, make("div", { class: "names" }, this.main, this.sub))),
      this.tenant, this.board,
      cell("version", make("div", { class: "version" }, this.versionText, this.badge)),
      cell("cpu", this.meter),
      this.memory, this.rx, this.tx, cell("trend", this.trend.svg), this.clients, this.uptime, this.seen,
    );
    this.element.addEventListener("click", () => onOpen(this.device));
  }

  show(device, index, nowMs) {
    const state = device.state(nowMs);
    if (device !== this.device || device.version !== this.drawnVersion || state !== this.state) {
      this.draw(device, state);
    }
    setText(this.seen, ago(device.lastSeenMs, nowMs));
    this.element.style.transform = `translateY(${index * ROW_PX}px)`;
    this.element.setAttribute("aria-rowindex", String(index + 2));
    this.index = index;
  }

  draw(device, state) {
    this.device = device;
    this.drawnVersion = device.version;
    this.state = state;
    setData(this.element, "state", state);
    setData(this.element, "key", device.key);
    this.dot.setAttribute("aria-label", state);
    this.dot.title = state;
    setText(this.main, device.identity);
    const name = device.identity === device.name ? "" : device.name;
    const reason = state === "down" ? words(device.status?.error_class) : "";
    setText(this.rest, [name, reason].filter(Boolean).join(" · "));
    setText(this.place, device.tenant);
    setText(this.tenant, device.tenant);
    setText(this.board, device.board || NOTHING);
    this.board.title = device.board;
    setText(this.versionText, device.osVersion || NOTHING);
    this.drawAdvice(device);
    const up = state === "up";
    const cpu = up ? device.cpu : null;
    setText(this.cpuText, percent(cpu));
    this.fill.style.transform = `scaleX(${(cpu ?? 0) / 100})`;
    setData(this.meter, "level", cpu >= 90 ? "critical" : cpu >= 75 ? "high" : "normal");
    setText(this.memory, percent(up ? device.memory : null));
    setText(this.rx, bitRate(device.rxRate));
    setText(this.tx, bitRate(device.txRate));
    this.trend.draw(device.rxHistory);
    setText(this.clients, count(up ? device.clients : null));
    setText(this.uptime, duration(up ? device.uptime : null));
  }

  drawAdvice(device) {
    const verdict = device.verdict;
    const shown = verdict !== null && verdict !== "up_to_date";
    this.badge.hidden = !shown;
    if (!shown) return;
    const upgrade = verdict === "upgrade_available";
    setText(this.badge, upgrade ? `→ ${device.advice.latest_version}` : words(verdict));
    this.badge.className = upgrade ? "badge" : "badge calm";
    this.badge.title = upgrade ? `Upgrade to ${device.advice.latest_version}` : words(verdict);
  }
}

export class Table {
  constructor(head, body, empty, onOpen) {
    this.head = head;
    this.body = body;
    this.empty = empty;
    this.onOpen = onOpen;
    this.space = make("div", { class: "space" });
    this.body.append(this.space);
    this.devices = [];
    this.rows = [];
    this.focusIndex = 0;
    this.selectedKey = null;
    this.sort = { id: "device", descending: false };
    this.onSort = () => {};
    this.makeHead();
    body.addEventListener("scroll", () => this.scheduleLayout(), { passive: true });
    new ResizeObserver(() => this.scheduleLayout()).observe(body);
    body.addEventListener("keydown", (event) => this.onKey(event));
  }

  makeHead() {
    for (const column of COLUMNS) {
      const cell = make("div", {
        class: `cell c-${column.id}${column.number ? " number" : ""}`, role: "columnheader",
      });
      if (column.compare) {
        const button = make("button", { type: "button" }, column.label);
        button.addEventListener("click", () => this.sortBy(column));
        cell.append(button);
      } else {
        cell.append(column.label);
      }
      column.cell = cell;
      this.head.append(cell);
    }
    this.markSort();
  }

  sortBy(column) {
    const same = this.sort.id === column.id;
    this.sort = {
      id: column.id,
      descending: same ? !this.sort.descending : Boolean(column.descendingFirst),
    };
    this.markSort();
    this.onSort();
  }

  markSort() {
    for (const column of COLUMNS) {
      if (column.id === this.sort.id) {
        column.cell.setAttribute("aria-sort", this.sort.descending ? "descending" : "ascending");
      } else {
        column.cell.removeAttribute("aria-sort");
      }
    }
  }

  // The devices to show, in any order; they are sorted here.
  setDevices(devices, nowMs) {
    const { compare } = COLUMNS.find((column) => column.id === this.sort.id);
    const sign = this.sort.descending ? -1 : 1;
    const missing = compare.missing ?? (() => false);
    devices.sort((a, b) => {
      const lacking = missing(a) - missing(b);
      if (lacking) return lacking;
      if (missing(a)) return NATURAL.compare(a.key, b.key);
      return sign * compare(a, b)
        || STATE_ORDER[a.state(nowMs)] - STATE_ORDER[b.state(nowMs)]
        || NATURAL.compare(a.key, b.key);
    });
    this.devices = devices;
    this.space.style.height = `${devices.length * ROW_PX}px`;
    this.body.parentElement.setAttribute("aria-rowcount", String(devices.length + 1));
    this.layout(nowMs);
  }

  scheduleLayout() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.layout(Date.now());
    });
  }

  layout(nowMs, keepFocus = true) {
    const focused = keepFocus
      ? this.rows.find((row) => row.element === document.activeElement)?.index
      : undefined;
    const visible = Math.ceil(this.body.clientHeight / ROW_PX) + 2 * EXTRA_ROWS;
    const first = Math.max(0, Math.floor(this.body.scrollTop / ROW_PX) - EXTRA_ROWS);
    const wanted = Math.min(visible, this.devices.length - first);
    while (this.rows.length < wanted) {
      const row = new Row((device) => this.onOpen(device));
      this.rows.push(row);
      this.space.append(row.element);
    }
    this.focusIndex = Math.max(0, Math.min(this.focusIndex, this.devices.length - 1));
    // Row n of the pool always holds the indices that are n modulo its size, so scrolling by
    // one row writes one row.
    const size = this.rows.length;
    const used = new Set();
    for (let index = first; index < first + wanted; index += 1) {
      const row = this.rows[index % size];
      used.add(row);
      row.element.hidden = false;
      row.show(this.devices[index], index, nowMs);
      row.element.tabIndex = index === this.focusIndex ? 0 : -1;
      row.element.setAttribute("aria-selected", String(row.device.key === this.selectedKey));
    }
    for (const row of this.rows) {
      if (!used.has(row)) row.element.hidden = true;
    }
    if (focused !== undefined && focused !== this.focusIndex) this.focusRow(this.focusIndex);
    const scrollbar = this.body.offsetWidth - this.body.clientWidth;
    this.head.parentElement.style.setProperty("--scrollbar", `${scrollbar}px`);
  }

  refresh(changed, nowMs) {
    for (const row of this.rows) {
      if (!row.element.hidden && (changed === null || changed.has(row.device.key))) {
        row.show(row.device, row.index, nowMs);
      }
    }
  }

  select(key) {
    this.selectedKey = key;
    this.layout(Date.now());
  }

  focusRow(index) {
    if (!this.devices.length) return;
    this.focusIndex = Math.max(0, Math.min(index, this.devices.length - 1));
    const top = this.focusIndex * ROW_PX;
    if (top < this.body.scrollTop) this.body.scrollTop = top;
    const bottom = top + ROW_PX - this.body.clientHeight;
    if (bottom > this.body.scrollTop) this.body.scrollTop = bottom;
    this.layout(Date.now(), false);
    this.rows[this.focusIndex % this.rows.length].element.focus({ preventScroll: true });
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.body.clientHeight / ROW_PX) - 1);
    const moves = {
      ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
      Home: -this.devices.length, End: this.devices.length,
    };
    if (event.key in moves) {
      event.preventDefault();
      this.focusRow(this.focusIndex + moves[event.key]);
    } else if ((event.key === "Enter" || event.key === " ") && this.devices.length) {
      event.preventDefault();
      this.onOpen(this.devices[this.focusIndex]);
    }
  }
}
