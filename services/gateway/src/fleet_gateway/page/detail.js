// The panel of one device. It is made anew when the device's events change: a few hundred
// nodes, at most once a frame, for the one device that is open.

import { Trend, make } from "./dom.js";
import {
  NOTHING, ago, bitRate, bitsPerSecond, bytes, count, duration, percent, words,
} from "./format.js";

const MAX_CLIENTS = 200;

export class Detail {
  constructor(element, onClose) {
    this.element = element;
    this.onClose = onClose;
    this.device = null;
    this.drawnVersion = -1;
    this.seen = null;
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.device && !document.querySelector("dialog[open]")) this.close();
    });
  }

  open(device) {
    this.device = device;
    this.drawnVersion = -1;
    this.element.hidden = false;
    this.element.scrollTop = 0;
    this.refresh(Date.now());
    this.element.querySelector(".close").focus({ preventScroll: true });
  }

  close() {
    this.device = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.onClose();
  }

  refresh(nowMs) {
    const device = this.device;
    if (!device) return;
    const state = device.state(nowMs);
    if (device.version === this.drawnVersion && state === this.drawnState) {
      this.seen.textContent = ago(device.lastSeenMs, nowMs);
      return;
    }
    this.drawnVersion = device.version;
    this.drawnState = state;
    const focused = this.element.contains(document.activeElement);
    const scrolled = this.element.scrollTop;
    this.seen = make("dd", {}, ago(device.lastSeenMs, nowMs));
    this.element.replaceChildren(
      this.header(device, state),
      ...this.notices(device, state),
      this.tiles(device, state),
      this.charts(device),
      ...this.interfaces(device),
      ...this.wireless(device),
      ...this.sensors(device),
      ...this.firmware(device),
      ...this.inventory(device),
    );
    this.element.scrollTop = scrolled;
    if (focused) this.element.querySelector(".close").focus({ preventScroll: true });
  }

  header(device, state) {
    const close = make("button", { class: "quiet close", type: "button", "aria-label": "Close details" }, "Close");
    close.addEventListener("click", () => this.close());
    const about = [device.tenant, device.name, device.board].filter(Boolean).join(" · ");
    return make(
      "header", {},
      make(
        "div", { class: "names", "data-state": state },
        make("h2", { "data-state": state }, make("span", { class: "dot", role: "img", "aria-label": state }), make("span", {}, device.identity)),
        make("p", {}, about),
      ),
      close,
    );
  }

  notices(device, state) {
    const notices = [];
    if (state === "down") {
      const failures = device.status.consecutive_failures;
      const why = [words(device.status.error_class), device.status.error_message].filter(Boolean).join(": ");
      notices.push(make("p", { class: "notice" }, `Down, ${why || "no reason given"} (${failures} ${failures === 1 ? "poll" : "polls"} failed in a row)`));
    }
    if (state === "silent") {
      notices.push(make("p", { class: "notice warn" }, "No poll has reported for longer than expected. Is its poller running?"));
    }
    return notices;
  }

  tiles(device, state) {
    const up = state === "up";
    const tile = (label, value) => make("div", {}, make("dt", {}, label), value);
    const text = (value) => make("dd", {}, value);
    return make(
      "dl", { class: "tiles" },
      tile("Uptime", text(duration(up ? device.uptime : null))),
      tile("Memory", text(percent(device.memory))),
      tile("Disk used", text(diskUsed(device.health))),
      tile("Wireless clients", text(count(device.clients))),
      tile("Version", text(device.osVersion || NOTHING)),
      tile("Last seen", this.seen),
    );
  }

  charts(device) {
    const chart = (label, now, values, className, top) => {
      const trend = new Trend(className);
      trend.draw(values, top);
      return make("figure", {}, make("figcaption", {}, label, make("span", { class: "now" }, now)), trend.svg);
    };
    const cores = device.health?.cpu_core_load_percent ?? [];
    return make(
      "div", { class: "charts" },
      chart("CPU", percent(device.cpu), device.cpuHistory, "", 100),
      coreBars(cores),
      chart("Traffic in", bitRate(device.rxRate), device.rxHistory, ""),
      chart("Traffic out", bitRate(device.txRate), device.txHistory, "tx"),
    );
  }

  interfaces(device) {
    const readings = device.interfaces?.interfaces ?? [];
    if (!readings.length) return [];
    const described = new Map((device.inventory?.interfaces ?? []).map((i) => [i.id, i]));
    const rows = readings.map((reading) => {
      const about = described.get(reading.id) ?? {};
      const rate = device.rates.get(reading.id);
      const state = reading.disabled ? "off" : reading.running ? "up" : "down";
      const errors = ["rx_errors_total", "tx_errors_total", "rx_drops_total", "tx_drops_total"]
        .reduce((total, name) => total + (reading[name] ?? 0), 0);
      const link = about.link_rate_bits_per_second;
      const sub = [
        about.comment,
        reading.disabled ? "disabled" : reading.running ? (link ? bitsPerSecond(link) : "") : "no link",
      ].filter(Boolean).join(" · ");
      return make(
        "tr", { "data-state": reading.disabled ? "off" : undefined },
        make(
          "td", {},
          make("div", { class: "name", "data-state": state === "off" ? "" : state }, make("span", { class: "dot", role: "img", "aria-label": state }), about.name ?? `*${reading.id.toString(16).toUpperCase()}`),
          sub ? make("div", { class: "sub" }, sub) : null,
        ),
        make("td", { class: "number" }, bitRate(rate?.rx)),
        make("td", { class: "number" }, bitRate(rate?.tx)),
        make("td", { class: "number" }, count(errors)),
      );
    });
    return [
      heading("Interfaces", readings.length),
      table(["Name", "#In", "#Out", "#Errors"], rows),
    ];
  }

  wireless(device) {
    const wireless = device.wireless;
    if (!wireless) return [];
    const radios = (wireless.radios ?? []).map((radio) => make(
      "tr", {},
      make("td", {}, radio.interface, make("div", { class: "sub" }, [radio.ssid, radio.band].filter(Boolean).join(" · "))),
      make("td", { class: "number" }, radio.frequency_mhz ? `${radio.frequency_mhz} MHz` : NOTHING),
      make("td", { class: "number" }, radio.channel_width_mhz ? `${radio.channel_width_mhz} MHz` : NOTHING),
      make("td", { class: "number" }, radio.noise_floor_dbm === undefined ? NOTHING : `${radio.noise_floor_dbm} dBm`),
    ));
    const all = wireless.clients ?? [];
    const clients = all.slice(0, MAX_CLIENTS).map((client) => make(
      "tr", {},
      make("td", {}, make("span", { class: "mono" }, client.mac_address), make("div", { class: "sub" }, [client.interface, client.ssid].filter(Boolean).join(" · "))),
      make("td", { class: "number" }, client.signal_dbm === undefined ? NOTHING : `${client.signal_dbm} dBm`),
      make("td", { class: "number" }, `${bitsPerSecond(client.rx_rate_bits_per_second)} / ${bitsPerSecond(client.tx_rate_bits_per_second)}`),
      make("td", { class: "number" }, duration(client.uptime_seconds)),
    ));
    const parts = [];
    if (radios.length) parts.push(heading("Radios", radios.length), table(["Interface", "#Frequency", "#Width", "#Noise"], radios));
    if (all.length) parts.push(heading("Wireless clients", device.clients), table(["Client", "#Signal", "#Rate in / out", "#Connected"], clients));
    return parts;
  }

  sensors(device) {
    const sensors = device.health?.sensors ?? [];
    if (!sensors.length) return [];
    const units = { celsius: "°C", volt: "V", ampere: "A", watt: "W", rpm: "rpm", percent: "%" };
    return [
      heading("Sensors", sensors.length),
      facts(sensors.map((sensor) => [
        sensor.name,
        sensor.state ?? (sensor.value === undefined ? NOTHING : `${sensor.value} ${units[sensor.unit] ?? ""}`.trim()),
      ])),
    ];
  }

  firmware(device) {
    const { firmware, advice } = device;
    if (!firmware && !advice) return [];
    return [
      heading("Firmware"),
      facts([
        ["Installed", advice?.installed_version ?? firmware?.installed_version],
        ["Channel", advice?.channel ?? firmware?.channel],
        ["Newest in channel", advice?.latest_version],
        ["Advice", words(advice?.verdict)],
        ["RouterBOOT", firmware?.routerboot_current],
        ["RouterBOOT upgrade", firmware?.routerboot_upgrade],
      ]),
    ];
  }

  inventory(device) {
    const about = device.inventory;
    if (!about) return [];
    const cpu = [about.cpu_name, about.cpu_count ? `${about.cpu_count} cores` : "", about.cpu_frequency_mhz ? `${about.cpu_frequency_mhz} MHz` : ""];
    return [
      heading("Hardware"),
      facts([
        ["Board", about.board_name],
        ["Model", about.model],
        ["Serial number", about.serial_number],
        ["Architecture", about.architecture],
        ["CPU", cpu.filter(Boolean).join(", ")],
        ["Memory", bytes(device.health?.memory_total_bytes)],
        ["Licence", about.license_level],
      ]),
    ];
  }
}

function coreBars(cores) {
  const bars = make("div", { class: "cores", role: "img", "aria-label": cores.map((load) => `${load}%`).join(", ") });
  for (const load of cores) {
    const fill = make("i");
    fill.style.transform = `scaleY(${load / 100})`;
    bars.append(make("span", { title: `${load}%` }, fill));
  }
  const busiest = cores.length ? `busiest ${percent(Math.max(...cores))}` : NOTHING;
  return make("figure", {}, make("figcaption", {}, cores.length > 1 ? `${cores.length} cores` : "Cores", make("span", { class: "now" }, busiest)), bars);
}

function heading(text, number) {
  const title = make("h3", {}, text);
  if (number !== undefined && number !== null) title.append(" ", make("span", { class: "n" }, count(number)));
  return title;
}

function facts(pairs) {
  const list = make("dl", { class: "facts" });
  for (const [name, value] of pairs) {
    if (value && value !== NOTHING) list.append(make("dt", {}, name), make("dd", {}, value));
  }
  return list;
}

// A label that begins with # heads a column of numbers.
function table(labels, rows) {
  const heads = labels.map((label) => make("th", { scope: "col", class: label.startsWith("#") ? "number" : undefined }, label.replace("#", "")));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}

function diskUsed(health) {
  const { disk_total_bytes: total, disk_free_bytes: free } = health ?? {};
  return total && free !== undefined ? percent(100 * (1 - free / total)) : NOTHING;
}
