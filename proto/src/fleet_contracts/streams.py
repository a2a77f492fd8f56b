"""Definitions of the streams and buckets; sizes come from the planner.

Every stream has a bound on bytes, age and message size: a stream without
max_bytes once filled a broker and stopped everything behind it.
"""

from dataclasses import dataclass
from enum import StrEnum

from fleet_contracts.subjects import TenantId, stream_name, tenant_subjects

MAX_MESSAGE_BYTES = 512 * 1024
"""The largest event accepted: an access point with 2,000 clients is about 130 KiB."""

DUPLICATE_WINDOW_SECONDS = 120.0
"""How long the broker remembers message ids. Pollers send again without end: an event whose
acknowledgement was lost, and which could only be sent again later than this, is on the stream
twice. The tables hold it once; a client of the event stream sees both."""

WRITER_CONSUMER = "metrics-writer"
"""The durable consumer whose acknowledgement floor is the position stored in the database."""
FIRMWARE_CONSUMER = "firmware-checker"
"""The durable consumer of those who check firmware."""

INVENTORY_BUCKET = "fleet-inventory"
"""Device records, without credentials; key `<tenant>.<device>`."""
ASSIGNMENTS_BUCKET = "fleet-assignments"
"""Which devices a shard owns; key `<tenant>.<shard>`."""
SHARDS_BUCKET = "fleet-shards"
"""Signs of life, written by the shards themselves; key `<tenant>.<shard>`."""
TENANTS_BUCKET = "fleet-tenants"
"""What services must know of each tenant beside its devices; key `<tenant>`."""
INVENTORY_BUCKET_MAX_BYTES = 32 * 1024 * 1024
ASSIGNMENTS_BUCKET_MAX_BYTES = 16 * 1024 * 1024
SHARDS_BUCKET_MAX_BYTES = 1024 * 1024
TENANTS_BUCKET_MAX_BYTES = 2 * 1024 * 1024


class StreamStorage(StrEnum):
    """Where the broker keeps the messages."""

    FILE = "file"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class StreamDefinition:
    """One tenant's stream. Ages in seconds, sizes in bytes; discard is always `old`."""

    name: str
    subjects: tuple[str, ...]
    max_bytes: int
    max_age_seconds: float
    storage: StreamStorage = StreamStorage.FILE
    replicas: int = 1
    max_message_bytes: int = MAX_MESSAGE_BYTES
    duplicate_window_seconds: float = DUPLICATE_WINDOW_SECONDS

    def __post_init__(self) -> None:
        if self.max_bytes <= 0:
            raise ValueError(f"max_bytes: {self.max_bytes} is not a bound (at least 1)")
        if self.max_age_seconds < self.duplicate_window_seconds:
            raise ValueError(
                f"max_age_seconds: {self.max_age_seconds} is below the duplicate window "
                f"of {self.duplicate_window_seconds} s, which the broker refuses"
            )


def tenant_stream(
    tenant: TenantId,
    *,
    max_bytes: int,
    max_age_seconds: float,
    storage: StreamStorage = StreamStorage.FILE,
    replicas: int = 1,
) -> StreamDefinition:
    """The stream of one tenant with the planner's size."""
    return StreamDefinition(
        name=stream_name(tenant),
        subjects=(tenant_subjects(tenant),),
        max_bytes=max_bytes,
        max_age_seconds=max_age_seconds,
        storage=storage,
        replicas=replicas,
    )
