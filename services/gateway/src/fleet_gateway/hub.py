"""All logs, channels and clients of the process: what is appended here reaches everyone."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Protocol

from fleet_contracts.subjects import DeviceId, TenantId
from fleet_gateway.channel import Channel, Delivery, Member
from fleet_gateway.entries import Entry
from fleet_gateway.frames import control_frame
from fleet_gateway.log import RingLimits, TenantLog
from fleet_gateway.selection import ChannelKey, Selection


class HubClient(Member, Protocol):
    """A client as the hub sees it."""

    key: ChannelKey

    def sweep(self, now: float) -> None:
        """Check deadlines and end itself where one has passed; `now` is monotonic."""
        ...

    def end(self, reason: str) -> None:
        """Finish the connection."""
        ...


class Hub:
    """One per process; every method is synchronous and runs on the event loop."""

    def __init__(self, limits: RingLimits, delivery: Delivery) -> None:
        self.logs: dict[TenantId, TenantLog] = {}
        self.clients: dict[HubClient, None] = {}
        self.ready = asyncio.Event()
        """Set once the streams found at the start have been read, as far as they can be."""
        self.unread: set[TenantId] = set()
        """Tenants whose stream is there, but has never been read: their fleets are not known."""
        self.closing = False
        self._channels: dict[ChannelKey, Channel] = {}
        self._by_tenant: dict[TenantId, list[Channel]] = {}
        self._limits = limits
        self._delivery = delivery
        self._metrics = delivery.metrics

    # What the ingest calls.

    def restart(self, tenant: TenantId, epoch: str, head: int, state: Iterable[Entry]) -> None:
        """A stream is there for the first time, was made anew, or lost messages unread.

        Clients get what the old log still owed them, then go through catching up, which finds
        out for each whether its position can be resumed.
        """
        parting = [c for c in self._channels.values() if c.key.selection.covers(tenant)]
        for channel in parting:
            channel.flush()
            channel.part_all()
            self._drop(channel)  # who comes back may have another key
        log = self.logs.get(tenant)
        if log is None:
            log = self.logs[tenant] = TenantLog(tenant, self._limits)
            self.unread.discard(tenant)
            self._by_tenant[tenant] = []
        log.restart(epoch, head, state)
        self._gauge(log)

    def expect(self, tenant: TenantId, *, there: bool) -> None:
        """Whether a tenant has a stream to be read; of one that was read this changes nothing."""
        if there and tenant not in self.logs:
            self.unread.add(tenant)
        else:
            self.unread.discard(tenant)

    def append(self, entry: Entry) -> None:
        """The next event of a tenant."""
        log = self.logs[entry.tenant]
        log.append(entry)
        self._metrics.events.labels(entry.tenant, entry.kind.value).inc()
        for channel in self._by_tenant[entry.tenant]:
            channel.offer(entry)

    def skip(self, tenant: TenantId, seq: int) -> None:
        """The next message of a tenant was no valid event."""
        self.logs[tenant].skip(seq)
        self._metrics.rejected.labels(tenant).inc()

    def forget(self, tenant: TenantId, device: DeviceId) -> None:
        """A device left the fleet long ago; clients that follow live are told."""
        self.logs[tenant].state.forget(device)
        frame = control_frame("gone", {"tenant": tenant, "device": device})
        for channel in list(self._by_tenant[tenant]):
            devices = channel.key.selection.devices
            if devices is None or device in devices:
                channel.announce(frame)

    # What clients call.

    def covered(self, selection: Selection) -> Iterator[TenantLog]:
        """The logs a selection covers now, by tenant name."""
        for tenant in sorted(self.logs):
            if selection.covers(tenant):
                yield self.logs[tenant]

    def enter(self, client: HubClient) -> None:
        """A client connected."""
        self.clients[client] = None
        self._metrics.clients.labels(_mode(client.key)).inc()

    def join(self, client: HubClient) -> None:
        """A client that has caught up wants the rest as it comes."""
        channel = self._channels.get(client.key)
        if channel is None:
            channel = Channel(client.key, self.logs, self._delivery)
            self._channels[client.key] = channel
            for tenant, channels in self._by_tenant.items():
                if client.key.selection.covers(tenant):
                    channels.append(channel)
            self._metrics.channels.set(len(self._channels))
        channel.join(client)

    def leave(self, client: HubClient) -> None:
        """A client is gone; a second call does nothing."""
        if client not in self.clients:
            return
        del self.clients[client]
        self._metrics.clients.labels(_mode(client.key)).dec()
        channel = self._channels.get(client.key)
        if channel is not None:
            channel.leave(client)
            if channel.empty:
                self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        if self._channels.get(channel.key) is channel:
            del self._channels[channel.key]
        for channels in self._by_tenant.values():
            if channel in channels:
                channels.remove(channel)
        self._metrics.channels.set(len(self._channels))

    # What timers call.

    def heartbeat(self, every_seconds: float) -> None:
        """Write a heartbeat to every client that follows live; the next comes so much later."""
        for channel in list(self._channels.values()):
            channel.heartbeat(every_seconds)

    def sweep(self, now: float) -> None:
        """Let every client check its deadlines, and refresh the gauges."""
        for client in list(self.clients):
            client.sweep(now)
        for log in self.logs.values():
            self._gauge(log)

    def close(self) -> None:
        """End all clients; no new ones should be let in."""
        self.closing = True
        for channel in list(self._channels.values()):
            channel.flush()
        for client in list(self.clients):
            client.end("shutdown")

    def _gauge(self, log: TenantLog) -> None:
        self._metrics.ring_bytes.labels(log.tenant).set(log.ring_bytes)
        self._metrics.devices.labels(log.tenant).set(len(log.state))


def _mode(key: ChannelKey) -> str:
    return "coalesced" if key.window_seconds else "raw"
