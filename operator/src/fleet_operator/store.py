"""What is known of the cluster's objects: told by watches, put right by full lists.

Resource versions order what comes by both ways. They are etcd's revisions: whole numbers
that rise (Kubernetes 1.35 says so officially; every API server before it does the same).
"""

import base64
import hashlib
import ssl
from collections.abc import Callable, Collection, Iterator
from typing import Final

import orjson

from fleet_operator.kinds import (
    CONFIG_MAP,
    ROUTER_FLEET,
    SECRET,
    Document,
    ObjectKey,
    ObjectKind,
    is_ours,
    key_of,
    part,
)
from fleet_operator.packing import Packed
from fleet_operator.resolve import CA_KEY

_MOST_TOMBSTONES: Final = 10_000
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def version_of(document: Document) -> int:
    """Its resource version; 0 for none."""
    return int(document["metadata"].get("resourceVersion") or 0)


def trimmed(kind: ObjectKind, document: Document) -> Document:
    """What is kept of an object: no bookkeeping, no foreign Secret's values.

    Of such a Secret stay the keys that have a value, and `badCa` when its CA is not one. Lists
    of devices are packed, and so is all that other ConfigMaps hold: any may be named by a fleet
    one day.
    """
    metadata = {
        name: value for name, value in document["metadata"].items() if name != "managedFields"
    }
    annotations = metadata.get("annotations")
    if annotations and _LAST_APPLIED in annotations:
        metadata["annotations"] = {
            name: value for name, value in annotations.items() if name != _LAST_APPLIED
        }
    if kind in {SECRET, CONFIG_MAP} and not is_ours(document):
        data: dict[str, str] = document.get("data") or {}
        kept = {"metadata": _identity(metadata)}
        if kind is SECRET:
            secret = {**kept, "keys": [one for one in data if data[one]]}
            return {**secret, "badCa": True} if _is_bad(data.get(CA_KEY)) else secret
        # Of what is no text only that it is there: binaryData comes of a file that is not UTF-8.
        binary = dict.fromkeys(document.get("binaryData") or ())
        return {**kept, "data": Packed({**binary, **data})}
    if kind is ROUTER_FLEET and part(document, "spec").get("devices"):
        spec = document["spec"]
        document = {**document, "spec": {**spec, "devices": Packed(spec["devices"])}}
    return {**document, "metadata": metadata}


def _is_bad(ca: str | None) -> bool:
    """Whether a Secret's CA, in base 64, is nothing that pollers could verify routers with."""
    if not ca:
        return False
    try:
        # As from a file, text of any encoding may stand around the blocks; cadata takes ASCII only.
        # What is not stays as a letter that no block may have.
        text = base64.b64decode(ca).decode("latin-1").encode("ascii", "replace").decode("ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ValueError, TypeError, ssl.SSLError):
        return True
    return False


def _identity(metadata: Document) -> Document:
    names = ("name", "namespace", "uid", "resourceVersion", "labels")
    return {name: metadata[name] for name in names if name in metadata}


def digest(value: object) -> str:
    """A short hash of anything JSON can say; the order of keys does not matter."""
    packed = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(packed).hexdigest()[:16]


class Store:
    """Objects by key. `changed` is called after every change, in the store's own loop."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._tell = changed
        self._revision = 0
        self._objects: dict[ObjectKey, Document] = {}
        self._gone: dict[ObjectKey, int] = {}
        self._listed: set[ObjectKind] = set()
        self._unread: frozenset[str] = frozenset()

    @property
    def revision(self) -> int:
        """Another number after every change."""
        return self._revision

    @property
    def unread(self) -> frozenset[str]:
        """Namespaces whose RouterFleets cannot be read: nobody knows whether there are any."""
        return self._unread

    @unread.setter
    def unread(self, namespaces: frozenset[str]) -> None:
        if namespaces != self._unread:
            self._unread = namespaces
            self._changed()

    def _changed(self) -> None:
        self._revision += 1
        self._tell()

    def get(self, key: ObjectKey) -> Document | None:
        """The object; None when it does not exist (or is not known of yet)."""
        return self._objects.get(key)

    def all(self, kind: ObjectKind) -> Iterator[Document]:
        """Every object of a kind."""
        return (one for key, one in self._objects.items() if key.kind is kind)

    def complete(self, kind: ObjectKind) -> bool:
        """Whether all objects of the kind were listed once."""
        return kind in self._listed

    def put(self, kind: ObjectKind, document: Document) -> bool:
        """Take a (trimmed) object unless a newer one is known; True when it is news."""
        key, version = key_of(kind, document), version_of(document)
        known = self._objects.get(key)
        if known is not None and version <= version_of(known):
            return False
        if version <= self._gone.get(key, -1):
            return False
        self._objects[key] = document
        self._gone.pop(key, None)
        self._changed()
        return True

    def take(self, kind: ObjectKind, document: Document) -> Document:
        """What the API server answered to a write, trimmed and put; returns it as it is kept."""
        kept = trimmed(kind, document)
        self.put(kind, kept)
        return kept

    def drop(self, kind: ObjectKind, document: Document) -> None:
        """It was deleted, at the version that it has here."""
        key, version = key_of(kind, document), version_of(document)
        known = self._objects.get(key)
        if known is not None and version_of(known) > version:
            return
        if len(self._gone) >= _MOST_TOMBSTONES:
            self._gone.pop(next(iter(self._gone)))
        self._gone[key] = version
        if known is not None:
            del self._objects[key]
            self._changed()

    def knows(self, kind: ObjectKind, document: Document) -> bool:
        """Whether it is no news: this version of it, or a later one, is there."""
        known = self._objects.get(key_of(kind, document))
        return known is not None and version_of(document) <= version_of(known)

    def settle(
        self, kind: ObjectKind, listed: Collection[ObjectKey], as_of: Callable[[str], int]
    ) -> int:
        """All objects that there are were put; returns how many are no more.

        `as_of`: the version that a namespace was listed at, by its name. What a watch told that is
        newer could not be in the list.
        """
        news = 0
        for key, known in list(self._objects.items()):
            if key.kind is not kind or key in listed:
                continue
            if version_of(known) <= as_of(key.namespace):
                del self._objects[key]
                news += 1
        self._gone = {
            key: at
            for key, at in self._gone.items()
            if key.kind is not kind or at > as_of(key.namespace)
        }
        if kind not in self._listed or news:
            self._listed.add(kind)
            self._changed()
        return news
