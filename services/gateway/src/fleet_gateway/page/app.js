// The page's composition: stream → model → one frame of drawing at a time.

import { Detail } from "./detail.js";
import { setText } from "./dom.js";
import { Filters } from "./filters.js";
import { bitRate, count } from "./format.js";
import { Fleet } from "./model.js";
import { Session } from "./session.js";
import { Stream } from "./stream.js";
import { Table } from "./table.js";

const REORDER_MS = 1000;
const STATE_TEXT = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  closed: "Logged out",
};

const at = (id) => document.getElementById(id);
const fleet = new Fleet();
const filters = new Filters(at("search"), at("tenants"), at("states"), () => reorderNow());
const table = new Table(at("head"), at("body"), at("empty"), open);
const detail = new Detail(at("detail"), () => {
  const key = table.selectedKey;
  table.select(null);
  const index = table.devices.findIndex((device) => device.key === key);
  if (index >= 0) table.focusRow(index);
});

let orderedAt = 0;
let orderDue = true;
let drawing = 0;
let connection = "connecting";
let loaded = false;

const stream = new Stream("api/v1/events?coalesce=250ms", {
  live: (event) => {
    fleet.live(event, Date.now());
    schedule();
  },
  snapshot: (frame) => {
    fleet.snapshot(frame);
    schedule();
  },
  snapshotEnd: () => {
    loaded = true;
    reorderNow();
  },
  reset: ({ tenant }) => fleet.reset(tenant),
  gone: ({ tenant, device }) => {
    fleet.remove(tenant, device);
    reorderNow();
  },
  state: showConnection,
  unauthorized: (error) => {
    showConnection("closed");
    session.ask(error.code === "unauthorized" ? "" : error.message);
  },
});

const session = new Session({
  entered: () => stream.open(),
  left: () => {
    stream.forget();
    fleet.clear();
    detail.device && detail.close();
    loaded = false;
    showConnection("closed");
    reorderNow();
  },
});

function open(device) {
  if (detail.device === device) {
    detail.close();
    return;
  }
  detail.open(device);
  table.select(device.key);
}

function showConnection(state) {
  connection = state;
  const pill = at("connection");
  pill.dataset.state = state;
  setText(pill, STATE_TEXT[state]);
  schedule();
}

function reorderNow() {
  orderedAt = 0;
  orderDue = true;
  schedule();
}

function schedule() {
  drawing ||= requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  const nowMs = Date.now();
  const changed = fleet.takeChanged();
  if (changed.size) orderDue = true;
  // Sorting thousands of rows for each event would be felt; a second's delay is not.
  if (orderDue && nowMs - orderedAt >= REORDER_MS) {
    orderedAt = nowMs;
    orderDue = false;
    order(nowMs);
  } else if (changed.size) {
    table.refresh(changed, nowMs);
  }
  if (detail.device && changed.has(detail.device.key)) detail.refresh(nowMs);
}

function order(nowMs) {
  const totals = fleet.totals(nowMs);
  showTotals(totals, nowMs);
  const shown = [...fleet.devices.values()].filter((device) => filters.passes(device, nowMs));
  table.setDevices(shown, nowMs);
  setText(at("shown"), filters.active ? `${count(shown.length)} of ${count(totals.devices)} devices` : "");
  showEmpty(shown.length, totals.devices);
  if (detail.device) {
    const current = fleet.devices.get(detail.device.key);
    if (!current) detail.close();
    else if (current !== detail.device) detail.open(current);
  }
}

function showEmpty(shown, devices) {
  const empty = at("empty");
  empty.hidden = shown > 0;
  if (shown > 0) return;
  let text = "";
  if (devices > 0) text = "No device matches.";
  else if (connection === "live" && loaded) text = "No device has reported yet. The first poll brings them here.";
  else if (connection !== "closed") text = "Waiting for the fleet…";
  setText(empty, text);
}

function showTotals(totals, nowMs) {
  filters.showTotals(totals);
  setText(at("total-devices"), count(totals.devices));
  setText(at("total-up"), count(totals.up));
  setText(at("total-down"), count(totals.down));
  at("total-down").parentElement.classList.toggle("some", totals.down > 0);
  at("total-stale-box").hidden = totals.silent === 0;
  setText(at("total-stale"), count(totals.silent));
  setText(at("total-in"), bitRate(totals.rx));
  setText(at("total-out"), bitRate(totals.tx));
  setText(at("total-clients"), count(totals.clients));
  setText(at("total-rate"), fleet.eventsPerSecond(nowMs).toFixed(1));
  document.title = totals.down ? `(${totals.down} down) RouterFleet` : "RouterFleet";
}

setInterval(() => {
  // Ages and silences change without an event.
  const nowMs = Date.now();
  orderDue = true;
  table.refresh(null, nowMs);
  detail.refresh(nowMs);
  schedule();
}, 1000);

at("tools").addEventListener("submit", (event) => event.preventDefault());
table.onSort = reorderNow;
session.start();
