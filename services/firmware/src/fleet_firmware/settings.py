"""The firmware-checker's settings."""

from pydantic import Field

from fleet_common.settings import OptionalPath, Section, ServiceSettings


class FirmwareSection(Section):
    """Channel data, and how advice is kept current."""

    upgrade_base_url: str = Field(
        default="https://upgrade.mikrotik.com/routeros", pattern=r"^https?://[^\s?#]+$"
    )
    """Where channel files (`NEWESTa7.stable`, …) are read; MikroTik's host or a mirror of it."""
    channel_file: OptionalPath = None
    """A YAML or JSON file with versions by major and channel, read instead of the upgrade host:
    no connection leaves the service. Read again when it changes."""
    refresh_seconds: float = Field(default=86_400, gt=0, le=30 * 86_400)
    """Seconds a channel file is taken as current after a successful read."""
    retry_seconds: float = Field(default=21_600, gt=0, le=30 * 86_400)
    """Seconds between reads of a channel that keeps failing or does not exist. The last good
    reading stays in use; a channel that is not found any more, so long until it counts as gone."""
    first_retry_seconds: float = Field(default=60, gt=0, le=86_400)
    """Seconds after the first failure; doubled with each further one up to `retry_seconds`."""
    fetch_timeout_seconds: float = Field(default=10, gt=0, le=120)
    """Seconds one read of the upgrade host may take in all."""
    request_spacing_seconds: float = Field(default=1, ge=0, le=3600)
    """Least seconds between two requests to the upgrade host, whatever is due."""
    discover_seconds: float = Field(default=5, gt=0, le=300)
    """Seconds between looks for new, changed and vanished tenant streams."""
    forget_seconds: float = Field(default=172_800, ge=60, le=90 * 86_400)
    """Seconds after its last firmware event until a device gets no more advice."""
    stalled_seconds: float = Field(default=120, gt=0, le=3600)
    """Seconds without progress on waiting events until /healthz turns red."""


class FirmwareSettings(ServiceSettings):
    """Everything the firmware-checker reads from the environment."""

    firmware: FirmwareSection = FirmwareSection()
