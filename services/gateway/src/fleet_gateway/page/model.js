// The fleet as events tell it: a fold, free of the document, so that it can be tested alone.

const HISTORY = 60;
const SILENT_MS = 180_000;
const RATE_SECONDS = 10;
// Bridges, VLANs and tunnels carry what a port has counted already.
const PORTS = new Set(["ether", "wlan", "wifi", "lte", "w60g", "sfp", "cap"]);

export class Device {
  constructor(tenant, name) {
    this.tenant = tenant;
    this.name = name;
    this.key = `${tenant}/${name}`;
    this.events = {};
    this.rates = new Map();
    this.rxRate = null;
    this.txRate = null;
    this.cpuHistory = [];
    this.rxHistory = [];
    this.txHistory = [];
    this.lastSeenMs = null;
    this.statusMs = null;
    this.cadenceMs = null;
    this.version = 0;
    this.searchText = name;
  }

  body(kind, field) {
    return this.events[kind]?.[field];
  }

  get status() { return this.body("status", "status"); }
  get health() { return this.body("health", "health"); }
  get interfaces() { return this.body("interfaces", "interfaces"); }
  get wireless() { return this.body("wireless", "wireless"); }
  get firmware() { return this.body("firmware", "firmware"); }
  get inventory() { return this.body("inventory", "inventory"); }
  get advice() { return this.body("firmware-advice", "firmware_advice"); }

  state(nowMs) {
    if (!this.status) return "unknown";
    if (nowMs - this.statusMs > Math.max(SILENT_MS, 3 * (this.cadenceMs ?? 0))) return "silent";
    return this.status.reachability === "up" ? "up" : "down";
  }

  get identity() { return this.inventory?.identity || this.name; }
  // RouterOS writes `hAP ax^3` for what MikroTik sells as hAP ax³.
  get board() {
    const name = this.inventory?.board_name || this.inventory?.model || "";
    return name.replace("^2", "²").replace("^3", "³");
  }
  // `7.17.2 (stable)`: the channel has its own place in the detail panel.
  get osVersion() {
    const version = this.inventory?.version || this.firmware?.installed_version || "";
    return version.replace(/ \(.*\)$/, "");
  }
  get cpu() { return this.health?.cpu_load_percent ?? null; }
  get memory() {
    const { memory_total_bytes: total, memory_free_bytes: free } = this.health ?? {};
    return total && free !== undefined ? 100 * (1 - free / total) : null;
  }
  get clients() {
    const wireless = this.wireless;
    if (!wireless) return null;
    return (wireless.clients?.length ?? 0) + (wireless.clients_left_out ?? 0);
  }
  get uptime() { return this.status?.uptime_seconds ?? null; }
  get verdict() { return this.advice?.verdict ?? null; }

  apply(event) {
    const earlier = this.events[event.kind];
    if (earlier && event.slot_unix_ms < earlier.slot_unix_ms) return;
    const repeated = earlier?.slot_unix_ms === event.slot_unix_ms;
    this.events[event.kind] = event;
    this.version += 1;
    switch (event.kind) {
      case "status":
        if (earlier && !repeated) this.cadenceMs = event.slot_unix_ms - earlier.slot_unix_ms;
        this.statusMs = event.observed_unix_ms;
        if (event.status.reachability === "up") this.seen(event);
        else this.dropRates();
        if (event.status.rebooted) this.dropRates();
        break;
      case "health":
        this.seen(event);
        if (!repeated) remember(this.cpuHistory, this.cpu);
        break;
      case "interfaces":
        this.seen(event);
        if (!repeated) this.rate(earlier, event);
        break;
      case "wireless":
      case "firmware":
        this.seen(event);
        break;
      case "inventory":
        this.seen(event);
        this.searchText = [
          this.name, this.tenant, this.identity, this.board, this.inventory.board_name ?? "",
          this.inventory.version ?? "", this.inventory.serial_number ?? "",
        ].join(" ").toLowerCase();
        break;
    }
  }

  seen(event) {
    this.lastSeenMs = Math.max(this.lastSeenMs ?? 0, event.observed_unix_ms);
  }

  dropRates() {
    this.rates = new Map();
    this.rxRate = this.txRate = null;
  }

  // Rates between two readings. A total that fell began anew (a reboot, a reset): no rate
  // until the next reading, rather than a wrong one.
  rate(earlier, event) {
    const rates = new Map();
    const seconds = earlier ? (event.observed_unix_ms - earlier.observed_unix_ms) / 1000 : 0;
    if (seconds > 0) {
      const before = new Map(earlier.interfaces.interfaces.map((i) => [i.id, i]));
      for (const now of event.interfaces.interfaces) {
        const then = before.get(now.id);
        if (then) {
          rates.set(now.id, {
            rx: perSecond(then.rx_bytes_total, now.rx_bytes_total, seconds),
            tx: perSecond(then.tx_bytes_total, now.tx_bytes_total, seconds),
          });
        }
      }
    }
    this.rates = rates;
    const counted = this.portIds(event);
    this.rxRate = sum(counted, rates, "rx");
    this.txRate = sum(counted, rates, "tx");
    if (rates.size) {
      remember(this.rxHistory, this.rxRate);
      remember(this.txHistory, this.txRate);
    }
  }

  portIds(event) {
    const all = event.interfaces.interfaces.map((i) => i.id);
    const types = new Map((this.inventory?.interfaces ?? []).map((i) => [i.id, i.type]));
    const ports = all.filter((id) => PORTS.has(types.get(id)));
    return ports.length ? ports : all;
  }
}

function perSecond(then, now, seconds) {
  if (then === undefined || now === undefined || now < then) return null;
  return (now - then) / seconds;
}

function sum(ids, rates, direction) {
  let total = null;
  for (const id of ids) {
    const rate = rates.get(id)?.[direction] ?? null;
    if (rate !== null) total = (total ?? 0) + rate;
  }
  return total;
}

function remember(history, value) {
  if (value === null) return;
  history.push(value);
  if (history.length > HISTORY) history.shift();
}

// How many came in each of the last seconds. As large as ever, however many come while nobody
// asks: a hidden tab draws nothing.
class Arrivals {
  constructor() {
    this.counts = new Array(RATE_SECONDS).fill(0);
    this.seconds = new Array(RATE_SECONDS).fill(-Infinity);
  }

  add(nowMs) {
    const second = Math.floor(nowMs / 1000);
    const place = second % RATE_SECONDS;
    if (this.seconds[place] !== second) {
      this.seconds[place] = second;
      this.counts[place] = 0;
    }
    this.counts[place] += 1;
  }

  // Over the second that is under way and the whole ones before it.
  perSecond(nowMs) {
    const first = Math.floor(nowMs / 1000) - RATE_SECONDS + 1;
    let total = 0;
    for (const [place, second] of this.seconds.entries()) {
      if (second >= first && second * 1000 <= nowMs) total += this.counts[place];
    }
    return (total * 1000) / (nowMs - first * 1000);
  }
}

export class Fleet {
  constructor() {
    this.devices = new Map();
    this.changed = new Set();
    this.membershipVersion = 0;
    this.arrivals = new Arrivals();
  }

  device(tenant, name) {
    const key = `${tenant}/${name}`;
    let device = this.devices.get(key);
    if (!device) {
      device = new Device(tenant, name);
      this.devices.set(key, device);
      this.membershipVersion += 1;
    }
    return device;
  }

  live(event, nowMs) {
    this.arrivals.add(nowMs);
    this.apply(event);
  }

  apply(event) {
    const device = this.device(event.tenant, event.device);
    device.apply(event);
    this.changed.add(device.key);
  }

  snapshot({ tenant, device, events }) {
    // The inventory first: it says which interfaces are ports.
    const { inventory, ...others } = events;
    this.device(tenant, device);
    if (inventory) this.apply(inventory);
    for (const event of Object.values(others)) this.apply(event);
  }

  remove(tenant, name) {
    if (this.devices.delete(`${tenant}/${name}`)) this.membershipVersion += 1;
  }

  reset(tenant) {
    for (const [key, device] of this.devices) {
      if (device.tenant === tenant) this.devices.delete(key);
    }
    this.membershipVersion += 1;
  }

  clear() {
    this.devices.clear();
    this.changed.clear();
    this.membershipVersion += 1;
  }

  takeChanged() {
    const changed = this.changed;
    this.changed = new Set();
    return changed;
  }

  eventsPerSecond(nowMs) {
    return this.arrivals.perSecond(nowMs);
  }

  totals(nowMs) {
    const totals = {
      devices: this.devices.size, up: 0, down: 0, silent: 0, unknown: 0,
      rx: null, tx: null, clients: null, upgrades: 0, tenants: new Map(),
    };
    for (const device of this.devices.values()) {
      const state = device.state(nowMs);
      totals[state] += 1;
      if (device.rxRate !== null) totals.rx = (totals.rx ?? 0) + device.rxRate;
      if (device.txRate !== null) totals.tx = (totals.tx ?? 0) + device.txRate;
      if (state === "up" && device.clients !== null) {
        totals.clients = (totals.clients ?? 0) + device.clients;
      }
      if (device.verdict === "upgrade_available") totals.upgrades += 1;
      const tenant = totals.tenants.get(device.tenant) ?? { devices: 0, up: 0 };
      tenant.devices += 1;
      if (state === "up") tenant.up += 1;
      totals.tenants.set(device.tenant, tenant);
    }
    return totals;
  }
}
