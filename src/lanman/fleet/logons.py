"""Which credential is used where.

Credentials are sections of the file `credentials` beside lanman.toml, each with a name:

    [domain]                                  [backup-hosts]
    user = "EXAMPLE\\\\lanman"                  user = "lanman"
    password = "..."                          nt_hash = "..."
                                              hosts = ["backup*.example.com", "10.9.0.0/16"]

Rules, the first that names one decides:

  1. the credential that came with the target, by name;
  2. the first section, in the order of the file, one of whose `hosts` means the target: its name as it was given, or
     its address where that is known. `*` and `?` stand for any characters, a network for the addresses in it;
  3. who the command line, or the program, said to be: it has the name "-U" here.

Where none does, nobody is asked: no null session is made of a forgotten password. The file may be read by nobody else
(mode 0600): here this is required.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AuthenticationError
from lanman.fleet.values import Target
from lanman.manage.selection import Pattern, is_pattern
from lanman.names import fold
from lanman.net.client_configuration import logon_credentials, read_logons
from lanman.net.credentials import Credentials

GIVEN: Final = "-U"
"""The name of the credential that was given beside the file."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(slots=True)
class _Rule:
    name: str
    names: frozenset[str]
    patterns: tuple[Pattern, ...]
    networks: tuple[Network, ...]

    def means(self, folded: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
        """Whether the section is for a host of this name, folded, or this address."""
        if folded in self.names or any(pattern.matches(folded) for pattern in self.patterns):
            return True
        return address is not None and any(address in network for network in self.networks)


@dataclass(slots=True)
class Logons:
    """The credentials of a sweep, by name, and the rules of who uses which."""

    credentials: Mapping[str, Credentials] = field(repr=False)
    rules: tuple[_Rule, ...] = ()

    def choose(self, target: Target, addresses: Iterable[str] = ()) -> str:
        """The name of the credential for a target. Raises AuthenticationError 1244 where there is none."""
        if target.credential is not None:
            if target.credential in self.credentials:
                return target.credential
            raise AuthenticationError(
                f"there is no credential named {target.credential!r}",
                code=codes.ERROR_NOT_AUTHENTICATED,
                hint="write a section of that name into the file `credentials`",
            )
        if self.rules:
            known = [found for text in (target.server, *addresses) if (found := _address(text)) is not None]
            folded = fold(target.server)
            for rule in self.rules:
                if rule.means(folded, None) or any(rule.means(folded, each) for each in known):
                    return rule.name
        if GIVEN in self.credentials:
            return GIVEN
        raise AuthenticationError(
            "there is no credential for it",
            code=codes.ERROR_NOT_AUTHENTICATED,
            hint="say who to be with -U, or name it in the `hosts` of a section of the file `credentials`",
        )


def read_fleet_logons(file: str | Path | None = None, given: Credentials | None = None) -> Logons:
    """The credentials of the file, this user's where none is named, and who was `given` beside it.

    Raises ConfigurationError for a mistake in the file, AccessDenied where others may read or change it.
    """
    sections = read_logons(None if file is None else Path(file))
    credentials = {name: logon_credentials(name, section) for name, section in sections.items() if section.can_log_on}
    rules = tuple(_rule(name, sections[name].hosts) for name in credentials if sections[name].hosts)
    if given is not None:
        credentials[GIVEN] = given
    return Logons(credentials, rules)


def _rule(name: str, hosts: Iterable[str]) -> _Rule:
    names: set[str] = set()
    patterns: list[Pattern] = []
    networks: list[Network] = []
    for host in hosts:
        if is_pattern(host):
            patterns.append(Pattern(fold(host)))
            continue
        names.add(fold(host))
        try:
            networks.append(ipaddress.ip_network(host, strict=False))
        except ValueError:
            continue
    return _Rule(name, frozenset(names), tuple(patterns), tuple(networks))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
