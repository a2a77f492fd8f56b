// Numbers as people read them. Each takes null or undefined for "not known".

export const NOTHING = "–";

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

function scaled(value, step, units, digits = 3) {
  let unit = 0;
  while (value >= step && unit < units.length - 1) {
    value /= step;
    unit += 1;
  }
  const text = value >= 100 || unit === 0 ? String(Math.round(value)) : value.toPrecision(digits);
  return `${Number(text)} ${units[unit]}`;
}

export const bitRate = (bytesPerSecond) =>
  known(bytesPerSecond)
    ? scaled(bytesPerSecond * 8, 1000, ["b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s"])
    : NOTHING;

export const bitsPerSecond = (bits) =>
  known(bits) ? scaled(bits, 1000, ["b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s"]) : NOTHING;

export const bytes = (count) =>
  known(count) ? scaled(count, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]) : NOTHING;

export const percent = (value) => (known(value) ? `${Math.round(value)}%` : NOTHING);

export const count = (value) => (known(value) ? value.toLocaleString("en") : NOTHING);

export function duration(seconds) {
  if (!known(seconds)) return NOTHING;
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${minutes}m`;
  if (minutes > 0) return `${minutes}m ${Math.floor(seconds % 60)}s`;
  return `${Math.floor(seconds)}s`;
}

export function ago(unixMs, nowMs) {
  if (!known(unixMs)) return "never";
  const seconds = Math.max(0, Math.round((nowMs - unixMs) / 1000));
  if (seconds < 5) return "now";
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h ago`;
  return `${Math.floor(seconds / 86400)}d ago`;
}

const WORDS = {
  up_to_date: "up to date",
  upgrade_available: "upgrade",
  ahead_of_channel: "ahead of channel",
  channel_unknown: "channel unknown",
  version_unknown: "version unknown",
  tls: "TLS",
};

export const words = (name) => (name ? (WORDS[name] ?? name.replaceAll("_", " ")) : "");
