"""Which credential is used where.

Credentials are sections of the file `credentials` beside lanman.toml, each with a name:

    [domain]                                  [backup-hosts]
    user = "EXAMPLE\\\\lanman"                  user = "lanman"
    password = "..."                          nt_hash = "..."
                                              hosts = ["backup*.example.com", "10.9.0.0/16"]

Rules, the first that names one decides:

  1. the credential that came with the target, by name. A section that has `hosts` is used for these alone: a list of
     targets cannot have its password sent elsewhere;
  2. the first section, in the order of the file, one of whose `hosts` means the target: its name as it was given, or
     its address where that is known. `*` and `?` stand for any characters, a network for the addresses in it;
  3. who the command line, or the program, said to be: it has the name "-U" here.

Where none does, nobody is asked: no null session is made of a forgotten password. The file may be read by nobody else
(mode 0600): here this is required.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AuthenticationError
from lanman.fleet.values import Target, canonical, host_key
from lanman.manage.selection import Pattern, is_pattern
from lanman.names import fold
from lanman.net.client_configuration import logon_credentials, read_logons
from lanman.net.credentials import Credentials
from lanman.plain import dataclass

GIVEN: Final = "-U"
"""The name of the credential that was given beside the file."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class _Rule:
    name: str
    names: frozenset[str]
    patterns: tuple[Pattern, ...]
    networks: tuple[Network, ...]

    def means(self, folded: str, addresses: Sequence[Address]) -> bool:
        """Whether the section is for a host of this name, folded, or for all of these addresses."""
        if folded in self.names or any(pattern.matches(folded) for pattern in self.patterns):
            return True
        return bool(addresses) and all(any(each in network for network in self.networks) for each in addresses)


@dataclass(slots=True)
class Logons:
    """The credentials of a sweep, by name, and the rules of who uses which."""

    credentials: Mapping[str, Credentials] = field(repr=False)
    rules: tuple[_Rule, ...] = ()

    def choose(self, target: Target, addresses: Iterable[str] = ()) -> str:
        """The name of the credential for a target. Raises AuthenticationError 1244 where there is none."""
        known = [found for text in (target.server, *addresses) if (found := _address(text)) is not None]
        folded = host_key(target.server)
        if target.credential is not None:
            return self._named(target.credential, folded, known)
        for rule in self.rules:
            if rule.means(folded, known):
                return rule.name
        if GIVEN in self.credentials:
            return GIVEN
        raise AuthenticationError(
            "there is no credential for it",
            code=codes.ERROR_NOT_AUTHENTICATED,
            hint="say who to be with -U, or name it in the `hosts` of a section of the file `credentials`",
        )

    def _named(self, name: str, folded: str, addresses: Sequence[Address]) -> str:
        """The credential that a target asks for, where it is meant for that server."""
        if name not in self.credentials:
            raise AuthenticationError(
                f"there is no credential named {name!r}",
                code=codes.ERROR_NOT_AUTHENTICATED,
                hint="write a section of that name into the file `credentials`",
            )
        rule = next((each for each in self.rules if each.name == name), None)
        if rule is not None and not rule.means(folded, addresses):
            raise AuthenticationError(
                f"the credential {name!r} is not meant for it",
                code=codes.ERROR_NOT_AUTHENTICATED,
                hint=f"add the server to the `hosts` of the section {name!r}, or take these out",
            )
        return name


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
        names.add(host_key(host))
        try:
            networks.append(ipaddress.ip_network(host, strict=False))
        except ValueError:
            continue
    return _Rule(name, frozenset(names), tuple(patterns), tuple(networks))


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(canonical(text.partition("%")[0]))
    except ValueError:
        return None
