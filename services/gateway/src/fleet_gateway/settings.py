"""The gateway's settings: `FLEET_GATEWAY__<FIELD>`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from fleet_common.settings import OptionalPath, Section, ServiceSettings


class AuthSection(Section):
    """Who may connect."""

    mode: Literal["token", "none"] = "token"
    """`none` lets everyone in and is refused unless the gateway listens on loopback."""
    tokens_file: OptionalPath = None
    """YAML or JSON file of tokens; needed with mode `token`. Read again when it changes."""
    session_seconds: int = Field(default=3600, ge=60, le=7 * 86400)
    """Life of a browser's session cookie; used sessions are renewed past half of it."""
    secure_cookie: bool = False
    """Mark cookies Secure even where TLS ends in front of the gateway. With TLS always on."""


class GatewaySection(Section):
    """The stream server."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` in a pod."""
    port: int = Field(default=8080, ge=1, le=65535)
    """Port of the page, the REST API and the event stream."""
    tenants: tuple[str, ...] = ()
    """Serve these tenants only; empty means every `FLEET_<tenant>` stream, new ones too."""
    discovery_seconds: float = Field(default=5.0, gt=0, le=300)
    """Seconds between two looks at the broker's list of streams."""
    ring_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=16 * 1024**3)
    """Bytes of rendered events kept for each tenant; older positions resume from the stream."""
    ring_entries: int = Field(default=100_000, ge=1, le=10_000_000)
    """Events kept for each tenant at most."""
    flush_milliseconds: float = Field(default=20.0, ge=0, le=1000)
    """How long an event may wait for others, to share one write to each client."""
    heartbeat_seconds: float = Field(default=15.0, ge=0.1, le=300)
    """Seconds between two `heartbeat` events to each client; proxies close what is silent."""
    retry_milliseconds: int = Field(default=2000, ge=100, le=600_000)
    """How long a client is told to wait before it connects again."""
    max_clients: int = Field(default=2000, ge=1, le=100_000)
    """Connected SSE clients; more get 503 with Retry-After."""
    max_backlog_bytes: int = Field(default=1024 * 1024, ge=64 * 1024, le=1024**3)
    """Bytes a client may leave untaken before it is cut; it can resume by its position."""
    stall_seconds: float = Field(default=30.0, gt=0, le=3600)
    """A client that takes nothing for so long is cut."""
    replay_max_events: int = Field(default=100_000, ge=0, le=100_000_000)
    """Events a client may be given from the stream; further back it gets a fresh snapshot."""
    health_limit_seconds: float = Field(default=20.0, gt=0, le=3600)
    """/healthz turns red when events wait on a stream and none was read for so long, unless the
    broker refuses to let it be read."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other sites whose scripts may read the API with a token (CORS); none is safe."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names the gateway answers to. Empty: any, but with auth mode `none` loopback names."""
    page_directory: Path = Path(__file__).parent / "page"
    """The live page's files."""
    auth: AuthSection = AuthSection()


class GatewaySettings(ServiceSettings):
    """All settings of the gateway."""

    gateway: GatewaySection = GatewaySection()
