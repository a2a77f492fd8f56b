// The connection to the gateway. EventSource reconnects by itself and resumes with
// Last-Event-ID, but gives up for good on any answer that is not a stream (a 503 of a gateway
// that is starting, a 401 of a session that is over): then this takes over.

const KINDS = [
  "status", "health", "interfaces", "wireless", "firmware", "inventory", "firmware-advice",
];
// A heartbeat tells when to expect the next one. Before the first one it is not known, and may be
// as long as FLEET_GATEWAY__HEARTBEAT_SECONDS can be set.
const LEAST_QUIET_MS = 60_000;
const MOST_HEARTBEAT_MS = 300_000;
const MISSED_HEARTBEATS = 4;
const LOOK_MS = 15_000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;

export class Stream {
  // `handlers`: live(event), snapshot(frame), snapshotEnd(frame), reset(frame), gone(frame),
  // state(name), unauthorized(message).
  constructor(address, handlers) {
    this.address = address;
    this.handlers = handlers;
    this.source = null;
    this.lastEventId = "";
    this.retryMs = FIRST_RETRY_MS;
    this.timer = null;
    this.heardAt = 0;
    this.quietMs = LEAST_QUIET_MS + MOST_HEARTBEAT_MS;
    setInterval(() => this.checkQuiet(), LOOK_MS);
    addEventListener("online", () => this.reopenSoon(0));
  }

  open() {
    this.close();
    const url = new URL(this.address, document.baseURI);
    if (this.lastEventId) url.searchParams.set("last_event_id", this.lastEventId);
    const source = new EventSource(url);
    this.source = source;
    this.heardAt = Date.now();
    this.handlers.state(this.lastEventId ? "reconnecting" : "connecting");
    source.onopen = () => {
      this.retryMs = FIRST_RETRY_MS;
      this.heardAt = Date.now();
      this.handlers.state("live");
    };
    source.onerror = () => this.onError(source);
    for (const kind of KINDS) this.listen(kind, this.handlers.live);
    this.listen("snapshot", this.handlers.snapshot);
    this.listen("snapshot-end", this.handlers.snapshotEnd);
    this.listen("reset", this.handlers.reset);
    this.listen("gone", this.handlers.gone);
    this.listen("heartbeat", (heartbeat) => this.expectWithin(heartbeat.every_seconds * 1000));
    this.listen("bye", () => this.handlers.state("reconnecting"));
  }

  listen(name, handler) {
    this.source.addEventListener(name, (message) => {
      this.heardAt = Date.now();
      if (message.lastEventId) this.lastEventId = message.lastEventId;
      handler(JSON.parse(message.data));
    });
  }

  close() {
    clearTimeout(this.timer);
    this.timer = null;
    this.source?.close();
    this.source = null;
  }

  onError(source) {
    if (source !== this.source) return;
    this.handlers.state("reconnecting");
    if (source.readyState !== EventSource.CLOSED) return;
    this.source = null;
    this.findOut();
  }

  // Why was the stream refused? Only a session that is over needs the person.
  async findOut() {
    try {
      const answer = await fetch(new URL("api/v1/session", document.baseURI));
      if (answer.status === 401) {
        const { error } = await answer.json();
        this.handlers.unauthorized(error);
        return;
      }
    } catch {
      // No answer at all: the gateway is away.
    }
    this.reopenSoon(this.retryMs * (0.5 + Math.random()));
    this.retryMs = Math.min(MAX_RETRY_MS, this.retryMs * 2);
  }

  reopenSoon(delayMs) {
    if (this.source && this.source.readyState === EventSource.OPEN) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), delayMs);
  }

  expectWithin(heartbeatMs) {
    this.quietMs = Math.max(LEAST_QUIET_MS, MISSED_HEARTBEATS * heartbeatMs);
  }

  // A connection can die without a word, for one while a laptop sleeps. A fleet may be silent for
  // as long as it likes: heartbeats come all the same.
  checkQuiet() {
    if (this.source && Date.now() - this.heardAt > this.quietMs) this.open();
  }

  forget() {
    this.close();
    this.lastEventId = "";
  }
}
