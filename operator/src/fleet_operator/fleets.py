"""The RouterFleets of the cluster as they are right now: whose tenant is whose, what each asks.

Pure but for what is remembered: devices whose source cannot be read at the moment are
unknown, not gone, and a spec that became invalid does not end what ran before it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fleet_common.fleet_spec import DeviceSpec, RouterFleet, with_devices
from fleet_common.inventory import device_records
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_operator.kinds import (
    CONFIG_MAP,
    FINALIZER,
    ROUTER_FLEET,
    SECRET,
    Document,
    ObjectKey,
    part,
)
from fleet_operator.packing import PackedDevices, unpacked
from fleet_operator.resolve import (
    Resolution,
    SecretNeed,
    config_map_names,
    resolve,
    secret_needs,
)
from fleet_operator.store import Store, version_of
from fleet_operator.workloads import Owner


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One RouterFleet. `fleet`: what it asks, None while nobody can say; its devices are packed.

    Made anew when anything of it changes. `remembered`: devices that are kept although their
    source cannot be read now. `rival`: the older RouterFleet that has the tenant; this one gets
    nothing then.
    """

    owner: Owner
    body: Document
    resolution: Resolution
    fleet: RouterFleet | None
    remembered: int
    needs: Mapping[str, SecretNeed]
    records: Mapping[str, bytes]
    rival: Owner | None = None
    devices: tuple[DeviceId, ...] = ()
    """Names of all devices that are to be assigned."""
    suspended: int = 0
    """How many of them are not polled."""

    @property
    def key(self) -> ObjectKey:
        """Of the RouterFleet."""
        return ObjectKey(ROUTER_FLEET, self.owner.namespace, self.owner.name)

    @property
    def tenant(self) -> TenantId:
        """Its tenant."""
        return TenantId(self.owner.name)

    @property
    def generation(self) -> int:
        """Of the spec."""
        return int(self.body["metadata"].get("generation") or 0)

    @property
    def deleted_at(self) -> datetime | None:
        """Since when it is being deleted; None: it is not."""
        text = self.body["metadata"].get("deletionTimestamp")
        return None if text is None else datetime.fromisoformat(text)

    @property
    def rests(self) -> bool:
        """Whether nothing of it is to be polled, whatever its devices are.

        It goes, or its spec can be read and says so.
        """
        read = self.resolution.fleet
        return self.deleted_at is not None or (read is not None and read.spec.suspend)

    @property
    def finalizers(self) -> list[str]:
        """All of them, whoever's."""
        return list(self.body["metadata"].get("finalizers") or ())

    @property
    def holds_finalizer(self) -> bool:
        """Whether ours is on it."""
        return FINALIZER in self.finalizers


@dataclass(frozen=True, slots=True)
class _Read:
    """What a resolution was made from, and what came out."""

    versions: tuple[object, ...]
    known: Known


class Fleets:
    """Reads the store; each RouterFleet is resolved again only when something of it changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, _Read] = {}
        self._last: tuple[Known, ...] = ()
        self._revision = -1

    def read(self) -> tuple[Known, ...]:
        """All RouterFleets, the oldest first; later ones of the same name have a rival."""
        revision = self._store.revision
        if revision != self._revision:
            self._last = tuple(self._read_all())
            self._revision = revision
        return self._last

    def _read_all(self) -> list[Known]:
        documents = sorted(self._store.all(ROUTER_FLEET), key=_seniority)
        holders: dict[str, Owner] = {}
        found: list[Known] = []
        for document in documents:
            owner = _owner(document)
            rival = holders.setdefault(owner.name, owner)
            found.append(self._one(owner, document, None if rival == owner else rival))
        uids = {one.owner.uid for one in found}
        self._read = {uid: read for uid, read in self._read.items() if uid in uids}
        return found

    def secret_keys(self, known: Known) -> dict[str, frozenset[str] | None]:
        """Which keys the Secrets that it needs have."""
        return {name: _keys(secret) for name, secret in self._secrets(known)}

    def bad_cas(self, known: Known) -> set[str]:
        """Those of the Secrets that it needs whose `ca.crt` is not one."""
        return {name for name, secret in self._secrets(known) if secret and secret.get("badCa")}

    def _secrets(self, known: Known) -> Iterator[tuple[str, Document | None]]:
        for name in known.needs:
            yield name, self._store.get(ObjectKey(SECRET, known.owner.namespace, name))

    def _one(self, owner: Owner, document: Document, rival: Owner | None) -> Known:
        names = config_map_names(document)
        config_maps = {
            name: self._store.get(ObjectKey(CONFIG_MAP, owner.namespace, name)) for name in names
        }
        versions = (
            document["metadata"].get("generation"),
            rival,
            *((name, one and version_of(one)) for name, one in sorted(config_maps.items())),
        )
        read = self._read.get(owner.uid)
        if read is not None and read.versions == versions:
            known = read.known
            if known.body is not document:
                known = replace(known, body=document)
                self._read[owner.uid] = _Read(versions, known)
            return known
        data: dict[str, dict[str, str | None] | None] = {
            name: None if one is None else unpacked(one.get("data")) or {}
            for name, one in config_maps.items()
        }
        resolution = resolve(_unpacked(document), data)
        before = None if read is None else read.known
        known = _known(owner, document, resolution, before, rival)
        self._read[owner.uid] = _Read(versions, known)
        return known


def _unpacked(document: Document) -> Document:
    spec = part(document, "spec")
    return {**document, "spec": {**spec, "devices": unpacked(spec.get("devices"))}}


def _known(
    owner: Owner,
    document: Document,
    resolution: Resolution,
    before: Known | None,
    rival: Owner | None,
) -> Known:
    fleet, remembered = _asked(document, resolution, before)
    kept = fleet and _packed(fleet)
    resolution = replace(
        resolution,
        fleet=kept if resolution.fleet is fleet else resolution.fleet and _packed(resolution.fleet),
        origins=_sources(resolution.origins or {}),
    )
    if fleet is None or rival is not None:
        return Known(owner, document, resolution, kept, 0, {}, {}, rival)
    suspended = sum(one.suspend or fleet.spec.suspend for one in fleet.spec.devices)
    return Known(
        owner=owner,
        body=document,
        resolution=resolution,
        fleet=kept,
        remembered=remembered,
        needs=secret_needs(fleet),
        records={
            record.key(): record.model_dump_json(by_alias=True).encode()
            for record in device_records(fleet)
        },
        rival=rival,
        devices=tuple(fleet.device_ids()),
        suspended=suspended,
    )


def _packed(fleet: RouterFleet) -> RouterFleet:
    """The same, its devices packed: a sequence like the list, whose members are made when read."""
    spec = fleet.spec.model_copy(update={"devices": PackedDevices(fleet.spec.devices)})
    return fleet.model_copy(update={"spec": spec})


def _sources(origins: Mapping[str, str]) -> dict[str, str]:
    """Which list each device is in, without the place in it."""
    known: dict[str, str] = {}
    sources = (place.partition(", row ")[0].partition("[")[0] for place in origins.values())
    return {
        device: known.setdefault(source, source)
        for device, source in zip(origins, sources, strict=True)
    }


def _asked(
    document: Document, resolution: Resolution, before: Known | None
) -> tuple[RouterFleet | None, int]:
    """What to go by, and how many devices of it are remembered rather than read."""
    last = None if before is None else before.fleet
    if resolution.fleet is None:
        return last, 0
    if not resolution.unread:
        return resolution.fleet, 0
    if last is None:
        # Devices that an earlier run of the operator knew of must not be dropped unseen.
        acted_on = bool(part(document, "status").get("devices"))
        return (None if acted_on else resolution.fleet), 0
    kept = _kept(resolution, last.spec.devices, before)
    if not kept:
        return resolution.fleet, 0
    return with_devices(resolution.fleet, [*resolution.fleet.spec.devices, *kept]), len(kept)


def _kept(
    resolution: Resolution, devices: Iterable[DeviceSpec], before: Known | None
) -> list[DeviceSpec]:
    """Devices known before whose source cannot be read now."""
    origins = dict(before.resolution.origins or {}) if before is not None else {}
    there = set(resolution.origins or {})
    return [
        device
        for device in devices
        if device.name not in there
        and (
            device.name not in origins  # remembered before already
            or any(_is_from(origins[device.name], source) for source in resolution.unread)
        )
    ]


def _is_from(origin: str, source: str) -> bool:
    return origin == source or origin.startswith(f"{source},")


def _owner(document: Document) -> Owner:
    metadata = document["metadata"]
    return Owner(metadata["namespace"], metadata["name"], metadata["uid"])


def _seniority(document: Document) -> tuple[str, str]:
    """RFC 3339 in UTC with whole seconds: text sorts as time does."""
    metadata = document["metadata"]
    return (metadata.get("creationTimestamp") or "", metadata["uid"])


def _keys(secret: Document | None) -> frozenset[str] | None:
    if secret is None:
        return None
    if "keys" in secret:
        return frozenset(secret["keys"])
    return frozenset(name for name, value in part(secret, "data").items() if value)
