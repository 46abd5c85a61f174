r"""Several servers that are one to people: how they are named, and which single servers these names mean.

    fs1,fs2            each of these, as `HOST` or `HOST:PORT`
    cluster:files      the nodes of [clusters.files] in lanman.toml
    files.example.com* every address of the name

These may stand beside each other with commas between them. Rules:

  - A node is called as it was written: `fs1`, `fs1:4450`, `[::1]:4450`; one that a `*` stands for by its address.
  - Nothing is selected by an empty part, and no name that means nothing is passed over: both are errors.
  - `cluster:445` is a host called cluster, as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.plain import dataclass
from lanman.shown import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lanman.client_settings import ClientConfiguration, Cluster
    from lanman.net.credentials import Credentials

PREFIX: Final = "cluster:"

MAX_NODES: Final = 1024
"""So many servers are one, at most; what is more is a fleet."""

HOW: Final = "several servers are written fs1,fs2 or cluster:NAME, and all addresses of a name NAME*"


@dataclass(frozen=True, slots=True)
class Place:
    """One server. `node` is what rows, messages and orders call it; `server` and `port` are as `open_manager` takes
    them. Without a server it is this machine's own, and its node is ""."""

    node: str
    server: str | None
    port: int | None = None


def is_cluster(server: str) -> bool:
    """Whether what was typed for a server means several, or one that has to be looked up first."""
    return "," in server or _cluster_name(server) is not None or server.rstrip("\\/ ").partition("*")[1] == "*"


def _cluster_name(part: str) -> str | None:
    """The NAME of `cluster:NAME`; None for any other text, the host called cluster with its port too."""
    bare = part.strip()
    if bare[: len(PREFIX)].casefold() != PREFIX:
        return None
    name = bare[len(PREFIX) :].strip()
    return None if name.isascii() and name.isdigit() else name


async def single_servers(
    server: str | None, configuration: ClientConfiguration | None = None, *, port: int | None = None
) -> list[Place]:
    """The single servers that a text means, in its order, each once; for None this machine's own.

    `port` is that of those that are written without one. `configuration` is asked for `cluster:NAME`; without one,
    lanman.toml is read where it is needed. Names are looked up for `*` alone. Two names of one server are two here: a
    ClusterManager tells them apart. Raises Win32Error 87 and 2351 for what means no server, ConnectionLost 53 for a
    name without addresses, ConfigurationError.
    """
    if server is None:
        return [Place("", None, port)]
    places: dict[tuple[str, int | None], Place] = {}
    for part in _parts(server):
        for place in await _of_part(part.strip(), configuration, port, server):
            places.setdefault((_canonical(place.server or ""), place.port), place)
    if len(places) > MAX_NODES:
        raise _bad(server, f"it means {len(places)} servers, and {MAX_NODES} are one at most")
    return list(places.values())


def check(server: str) -> None:
    """Raise Win32Error 87 or 2351 for a text that cannot mean servers, whatever is configured; nothing is looked up."""
    for part in _parts(server):
        if _cluster_name(part) is not None:
            if not _cluster_name(part):
                raise _bad(server, "the name of the cluster is missing")
        elif "*" in part:
            _starred(part, 445, server)
        else:
            _place(part, 445)


def _parts(server: str) -> Iterable[str]:
    parts = server.split(",")
    if len(parts) > 1 and not all(part.strip("\\/ ") for part in parts):
        raise _bad(server, "a part between its commas is empty")
    return parts


def _canonical(server: str) -> str:
    from lanman.manage.selection import canonical_client

    return canonical_client(server)


async def _of_part(part: str, configuration: ClientConfiguration | None, port: int | None, whole: str) -> list[Place]:
    """The servers of one part between commas."""
    if (name := _cluster_name(part)) is not None:
        cluster = _configured(name, configuration)
        return [_place(node, cluster.port or port) for node in cluster.nodes]
    if "*" in part:
        return await _of_every_address(part, port, whole)
    return [_place(part, port)]


def _place(text: str, port: int | None) -> Place:
    """The server that a text of HOST or HOST:PORT is. Raises Win32Error 2351 and 87."""
    from lanman.manage.link import split_server

    # 0 is no port: where it comes back, none is written.
    host, attached = split_server(text, port or 445)
    written = text.strip().strip("\\/")
    has_port = written.removeprefix("[").removesuffix("]") != host
    return Place(written if has_port else host, host, attached if has_port else port)


async def _of_every_address(part: str, port: int | None, whole: str) -> list[Place]:
    from lanman.net.resolve import resolve

    host, attached, behind = _starred(part, port, whole)
    addresses = []
    for _, where in await resolve(host, attached):
        # The scope of a link-local address is part of it.
        scope = f"%{where[3]}" if len(where) == 4 and where[3] else ""
        addresses.append(f"{where[0].partition('%')[0]}{scope}")
    if not behind:
        return [Place(address, address, port) for address in dict.fromkeys(addresses)]
    bracketed = [(each, f"[{each}]" if ":" in each else each) for each in dict.fromkeys(addresses)]
    return [Place(f"{text}{behind}", address, attached) for address, text in bracketed]


def _starred(part: str, port: int | None, whole: str) -> tuple[str, int, str]:
    """The name before a `*`, the port that counts, and what stands behind the `*`."""
    from lanman.manage.link import split_server

    name, _, behind = part.strip().strip("\\/").partition("*")
    if not name or "*" in behind or (behind and not behind.startswith(":")):
        raise _bad(whole, "a * stands behind a whole name, and means every address of it")
    return *split_server(f"{name}{behind}", port or 445), behind


def _configured(name: str, configuration: ClientConfiguration | None) -> Cluster:
    """The cluster of a name. Raises Win32Error 87 for one that is not configured, naming those that are."""
    if configuration is None:
        from lanman.net.client_configuration import read_client_configuration

        configuration = read_client_configuration()
    cluster = configuration.clusters.get(name)
    if cluster is None:
        known = ", ".join(f"{PREFIX}{each}" for each in configuration.clusters)
        raise Win32Error(
            codes.ERROR_INVALID_PARAMETER,
            f"{PREFIX}{escape(name)}: " + ("no cluster of that name is configured" if name else "a name is missing"),
            hint=f"there are {known}"
            if known
            else f'lanman.toml has none: write [clusters.{name or "NAME"}] there, with nodes = ["fs1", "fs2"]',
        )
    return cluster


def _bad(server: str, why: str) -> LanmanError:
    return Win32Error(codes.ERROR_INVALID_PARAMETER, f"{escape(server)}: {why}", hint=HOW)


def configured_credentials(server: str, configuration: ClientConfiguration | None = None) -> Credentials | None:
    """Whom to log on as at a cluster whose section of lanman.toml names credentials; None for any other text.

    Clusters beside each other with different credentials are refused: Win32Error 87. ConfigurationError for a section
    that does not say enough.
    """
    names = [name for part in server.split(",") if (name := _cluster_name(part)) is not None]
    if not names:
        return None
    if configuration is None:
        from lanman.net.client_configuration import read_client_configuration

        configuration = read_client_configuration()
    sections = {_configured(name, configuration).credentials for name in names}
    if len(sections) > 1 or (sections != {""} and len(names) < len(server.split(","))):
        raise _bad(server, "its parts have different credentials in lanman.toml")
    section = sections.pop()
    if not section:
        return None
    from lanman.net.client_configuration import logon_credentials

    return logon_credentials(section, configuration.credentials[section])
