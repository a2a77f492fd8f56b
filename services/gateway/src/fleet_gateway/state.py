"""The latest event of each (device, kind) of one tenant, and its snapshot frames."""

from collections.abc import Collection, Iterator

from fleet_contracts.subjects import DeviceId, Kind, TenantId
from fleet_gateway.entries import Entry
from fleet_gateway.frames import snapshot_data, snapshot_frame


class DeviceState:
    """One device: its newest event by kind, and the rendering of all of them."""

    __slots__ = ("_frame", "_head", "latest")

    def __init__(self, tenant: TenantId, device: DeviceId) -> None:
        self.latest: dict[Kind, Entry] = {}
        # Names are DNS-1123 labels: nothing in them needs escaping.
        self._head = f'{{"tenant":"{tenant}","device":"{device}","events":{{'.encode()
        self._frame: bytes | None = None

    def apply(self, entry: Entry) -> None:
        """Take a newer event."""
        self.latest[entry.kind] = entry
        self._frame = None

    def data(self, kinds: Collection[Kind] | None = None) -> bytes:
        """`{"tenant", "device", "events": {kind: event}}`; `kinds` None means all."""
        return snapshot_data(self.frame(kinds))

    def frame(self, kinds: Collection[Kind] | None = None) -> bytes:
        """`data` as a snapshot frame. Shared: a thousand clients coming back get one object."""
        if kinds is not None:
            return snapshot_frame(self._render(kinds))
        if self._frame is None:
            self._frame = snapshot_frame(self._render(self.latest))
        return self._frame

    def _render(self, kinds: Collection[Kind]) -> bytes:
        events = [
            b'"%b":%b' % (kind.value.encode(), self.latest[kind].data)
            for kind in Kind
            if kind in kinds and kind in self.latest
        ]
        return self._head + b",".join(events) + b"}}"


class FleetState:
    """All devices of one tenant, in the order of their names when iterated."""

    def __init__(self, tenant: TenantId) -> None:
        self._tenant = tenant
        self._devices: dict[DeviceId, DeviceState] = {}
        # Oldest status first, so that who is gone is found without looking at all the others.
        self._by_status: dict[DeviceId, DeviceState] = {}
        self._without_status: dict[DeviceId, DeviceState] = {}

    def apply(self, entry: Entry) -> None:
        """Fold one event; the caller gives them in stream order."""
        if entry.kind is Kind.TRIM:  # about the stream: no device's state
            return
        device = self._devices.get(entry.device)
        if device is None:
            device = self._devices[entry.device] = DeviceState(self._tenant, entry.device)
            self._without_status[entry.device] = device
        device.apply(entry)
        if entry.kind is Kind.STATUS:
            if self._by_status.pop(entry.device, None) is None:
                del self._without_status[entry.device]
            self._by_status[entry.device] = device

    def forget(self, device: DeviceId) -> None:
        """Drop a device that the stream no longer knows."""
        del self._devices[device]
        self._by_status.pop(device, None)
        self._without_status.pop(device, None)

    def gone(self, first_seq: int, published_before_unix: float) -> list[DeviceId]:
        """Devices without a status on the stream, which begins at `first_seq` now.

        A status comes with every poll. The time keeps a device whose stream holds less than
        one poll's worth of events.
        """
        silent = list(self._without_status.items())
        for device, state in self._by_status.items():
            if state.latest[Kind.STATUS].seq >= first_seq:
                break
            silent.append((device, state))
        return [
            device
            for device, state in silent
            if all(entry.published_unix < published_before_unix for entry in state.latest.values())
        ]

    def device(self, device: DeviceId) -> DeviceState | None:
        """One device, or None when it never sent an event."""
        return self._devices.get(device)

    def __len__(self) -> int:
        return len(self._devices)

    def __iter__(self) -> Iterator[tuple[DeviceId, DeviceState]]:
        return iter(sorted(self._devices.items()))
