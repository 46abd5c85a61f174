"""Which single servers policies are for, and how each is opened."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError
from lanman.manage.cluster import configured_credentials, single_servers
from lanman.manage.cluster.gate import LogonGates
from lanman.manage.manager import DEFAULT_TIMEOUT
from lanman.manage.selection import canonical_client
from lanman.plain import dataclass

if TYPE_CHECKING:
    from lanman.client_settings import ClientConfiguration
    from lanman.manage.cluster import Place
    from lanman.manage.kept import Opening
    from lanman.manage.policies.declared import Policies, Policy
    from lanman.net.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are asked: the options of `lanman.open_manager`. `server` is where policies hold that name none.

    `fallback` is who to be where neither `credentials` nor lanman.toml say it.
    """

    server: str | None = None
    credentials: Credentials | None = field(default=None, repr=False)
    port: int | None = None
    timeout: float = DEFAULT_TIMEOUT
    home: str | Path | None = None
    encrypt: bool = False
    service: str | None = None
    samba_config: str | None = None
    fallback: Credentials | None = field(default=None, repr=False)


Opener = Callable[["Place", "Credentials | None"], "Opening"]
"""What gives the way to open a Manager of a place, as somebody."""


@dataclass(slots=True)
class Served:
    """One server, and the policies for it."""

    name: str
    opening: Opening
    policies: list[Policy] = field(default_factory=list)


@dataclass(slots=True)
class Servers:
    """All single servers of some policies, by name. `unknown` are policies some of whose servers are not known now, and
    why. Where only some servers are asked, `asked` are their names (`canonical_client`), and `whole` is what there
    would be without that."""

    served: dict[str, Served]
    unknown: dict[str, LanmanError]
    asked: frozenset[str] | None = None
    whole: Servers | None = None

    def asks(self, server: str) -> bool:
        """Whether a server is one of those that are asked, if a policy is for it."""
        return self.asked is None or canonical_client(server) in self.asked

    def of_policies(self, policies: Iterable[str]) -> Mapping[str, list[str] | None]:
        """The servers of each policy by name, those that are not asked too; None for one of which not all are known."""
        found = self.whole or self
        return {
            name: None
            if name in found.unknown
            else [each.name for each in found.served.values() if any(one.name == name for one in each.policies)]
            for name in policies
        }


def opener(access: Access) -> Opener:
    """Opens servers as `access` says. A wrong password is not tried at all of them."""
    gates = LogonGates()

    def opening(place: Place, credentials: Credentials | None) -> Opening:
        from lanman.manage.open import open_manager

        who = next((each for each in (access.credentials, credentials) if each is not None), access.fallback)
        return lambda: open_manager(
            place.server,
            who,
            approach=gates.approach(who),
            port=place.port,
            timeout=access.timeout,
            home=access.home,
            encrypt=access.encrypt,
            service=access.service,
            samba_config=access.samba_config,
        )

    return opening


async def find_servers(
    policies: Policies, access: Access, configuration: ClientConfiguration, opens: Opener | None = None
) -> Servers:
    """The single servers that policies are for. A name that cannot be looked up now makes its policy one of `unknown`;
    any other mistake is raised (LanmanError)."""
    opening = opener(access) if opens is None else opens
    found = Servers({}, {})
    spelt: dict[tuple[str, int], str] = {}
    for policy in policies.policies.values():
        for text in policy.servers or (access.server,):
            try:
                places = await single_servers(text, configuration, port=access.port)
            except ConnectionLost as error:
                found.unknown[policy.name] = error
                continue
            theirs = None if text is None else configured_credentials(text, configuration)
            for place in places:
                name = place.node or socket.gethostname()
                # Two spellings of one server are one: each by itself would have an `at_most` of its own.
                name = spelt.setdefault((canonical_client(place.server or name), place.port or 445), name)
                served = found.served.setdefault(name, Served(name, opening(place, theirs)))
                if policy not in served.policies:
                    served.policies.append(policy)
    return found


async def only_servers(
    policies: Policies, access: Access, configuration: ClientConfiguration, opens: Opener | None = None
) -> Servers:
    """The servers of policies; where one is named, it alone. Raises LanmanError where no policy is for that."""
    found = await find_servers(policies, access, configuration, opens)
    if access.server is None:
        return found
    wanted = frozenset(
        canonical_client(each.node) for each in await single_servers(access.server, configuration, port=access.port)
    )
    served: dict[str, Served] = {name: each for name, each in found.served.items() if canonical_client(name) in wanted}
    if not served:
        raise LanmanError(
            f"{access.server}: no policy is for that server",
            code=codes.ERROR_INVALID_PARAMETER,
            hint=f"They are for {', '.join(found.served) or 'none that is known'}.",
        )
    return Servers(served, {}, wanted, found)
