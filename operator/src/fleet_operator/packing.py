"""What is rarely read, kept small: as compressed JSON instead of a hundred thousand objects."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, overload

import orjson

from fleet_common.fleet_spec import DeviceSpec

_LEVEL: Final = 1


class Packed:
    """Any JSON value. Equal when the value is, as long as maps have the same order."""

    __slots__ = ("_bytes",)

    def __init__(self, value: object) -> None:
        self._bytes = zlib.compress(orjson.dumps(value), _LEVEL)

    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """Made anew at each call."""
        return orjson.loads(zlib.decompress(self._bytes))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)


def unpacked(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value, whether it is packed or not."""
    return value.value() if isinstance(value, Packed) else value


class PackedDevices(Sequence[DeviceSpec]):
    """Devices, read once and hardly ever again: a model of each takes ten times the room."""

    __slots__ = ("_count", "_packed")

    def __init__(self, devices: Iterable[DeviceSpec]) -> None:
        documents = [
            one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in devices
        ]
        self._count = len(documents)
        self._packed = Packed(documents)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[DeviceSpec]:
        return map(DeviceSpec.model_validate, self._packed.value())

    @overload
    def __getitem__(self, index: int) -> DeviceSpec: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DeviceSpec]: ...
    def __getitem__(self, index: int | slice) -> DeviceSpec | Sequence[DeviceSpec]:
        return list(self)[index]
