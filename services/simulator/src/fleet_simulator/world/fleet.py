"""A fleet from a seed: each device is a function of (seed, tenant, name) and its kind."""

from collections import Counter
from collections.abc import Sequence

from fleet_simulator.world.activity import Activity
from fleet_simulator.world.catalogue import FLEET_MIX, PERSONALITIES, VERSIONS
from fleet_simulator.world.device import Site
from fleet_simulator.world.noise import between, pick, seed_of
from fleet_simulator.world.personality import Personality
from fleet_simulator.world.plan import interfaces_of
from fleet_simulator.world.router import SimulatedRouter
from fleet_simulator.world.stations import station_seeds

_ZONES = (
    ("Europe/London", 0),
    ("Europe/Prague", 3600),
    ("Europe/Riga", 7200),
    ("America/Sao_Paulo", -10_800),
    ("Asia/Jakarta", 25_200),
)


def build_fleet(
    seed: int,
    tenants: Sequence[str],
    devices: int,
    *,
    started: float,
    mix: Sequence[str] = FLEET_MIX,
    interfaces: int | None = None,
    username: str = "fleet",
) -> list[SimulatedRouter]:
    """`devices` routers spread evenly over `tenants`, tenant after tenant.

    101 over 3 are 34, 34 and 33. Names are unique within a tenant and count up per kind
    (`ap-014`). A tenant's devices share one password. `mix` names the personalities in turn,
    `interfaces` asks for that many interfaces on each. Growing a fleet keeps the devices it had.
    Raises ValueError for no tenants, doubled tenants or an unknown personality.
    """
    if not tenants or len(set(tenants)) != len(tenants):
        raise ValueError(f"tenants must be one or more different names, not {list(tenants)}")
    kinds = [_personality(name) for name in mix]
    each, more = divmod(devices, len(tenants))
    fleet: list[SimulatedRouter] = []
    for index, tenant in enumerate(tenants):
        count = each + (index < more)
        fleet += _tenant(seed, tenant, count, kinds, interfaces, started, username)
    return fleet


def build_router(  # noqa: PLR0913 - keyword-only settings with defaults
    seed: int,
    name: str,
    *,
    personality: str = "router",
    version: str | None = None,
    interfaces: int | None = 10,
    started: float = 1_790_000_000.0,
    tenant: str = "acme",
    username: str = "fleet",
    password: str | None = None,
) -> SimulatedRouter:
    """One router on its own, for tests and benches.

    `version` is one of the catalogue's or the personality's own; `interfaces` None gives the
    product's own number. Raises ValueError for an unknown personality or version.
    """
    kind = _personality(personality)
    if version is not None and version not in VERSIONS:
        raise ValueError(f"unknown version {version!r}, known: {', '.join(VERSIONS)}")
    site = _site(seed, tenant, access_points=3)
    return _build(
        seed, name, kind, site, cell=0, version=version, interfaces=interfaces, started=started,
        username=username, password=password,
    )  # fmt: skip


def _tenant(  # noqa: PLR0917 - build_fleet's own settings
    seed: int,
    tenant: str,
    count: int,
    kinds: Sequence[Personality],
    interfaces: int | None,
    started: float,
    username: str,
) -> list[SimulatedRouter]:
    chosen = [kinds[number % len(kinds)] for number in range(count)]
    site = _site(seed, tenant, sum(kind.wireless != "none" for kind in chosen))
    numbers, cells = Counter[str](), 0
    routers: list[SimulatedRouter] = []
    for kind in chosen:
        numbers[kind.kind] += 1
        routers.append(
            _build(
                seed,
                f"{kind.kind}-{numbers[kind.kind]:03d}",
                kind,
                site,
                cell=cells,
                version=None,
                interfaces=interfaces,
                started=started,
                username=username,
                password=None,
            )
        )
        cells += kind.wireless != "none"
    return routers


def _build(  # noqa: PLR0913 - the settings of both entries
    seed: int,
    name: str,
    kind: Personality,
    site: Site,
    *,
    cell: int,
    version: str | None,
    interfaces: int | None,
    started: float,
    username: str,
    password: str | None,
) -> SimulatedRouter:
    own = seed_of(seed, site.tenant, name)
    board = pick(own, 1, kind.boards)
    release = VERSIONS[version or pick(own, 2, kind.versions)]
    activity = Activity(site.utc_offset, between(own, 3, -2.0, 2.0))
    return SimulatedRouter(
        seed=own,
        name=name,
        site=site,
        cell=cell,
        personality=kind,
        board=board,
        release=release,
        activity=activity,
        interfaces=interfaces_of(own, kind, board, activity, interfaces),
        username=username,
        password=password or f"{seed_of(seed, site.tenant, 'password'):016x}",
        started=started,
    )


def _site(seed: int, tenant: str, access_points: int) -> Site:
    own = seed_of(seed, tenant)
    zone, offset = pick(own, 1, _ZONES)
    return Site(tenant, own, station_seeds(own, access_points), offset, zone)


def _personality(name: str) -> Personality:
    if name not in PERSONALITIES:
        raise ValueError(f"unknown personality {name!r}, known: {', '.join(PERSONALITIES)}")
    return PERSONALITIES[name]
