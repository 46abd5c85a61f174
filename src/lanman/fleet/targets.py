r"""From what people type to targets, one after the other: a network of 100,000 addresses is never a list.

    fs1   fs1:4450   \\fs1   10.0.0.5   [::1]:445   .      a server, by name or address; "." is this machine
    10.0.0.0/16                                            every host of a network
    cluster:files   files.example.com*                     the servers that are one to people, each by itself
    @FILE   -                                              what a file, or standard input, has: one to a line

A line of a file is one of the first three rows, or a JSON object: {"server": "fs1", "port": 445, "credential": "lab",
"tags": ["site-7"]}. What follows a `#` at the beginning of a line is a comment.

Rules:

  - A target is left out where an exclusion means it by its name (`*` and `?` stand for any characters), its address or
    its network. A name whose address turns out to be excluded is not asked either. A line of
    exclusions that names nobody is an error: it would have somebody asked.
  - `--shard 2/8` takes the same eighth of the targets on every machine and in every run: it goes by a hash of the name.
  - Networks larger than a /24 are walked across their subnets, so that none is asked all at once.
  - A line that cannot be understood is an error that names it, before any server of that file is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import itertools
import json
import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.fleet.values import DEFAULT_PORT, THIS_MACHINE, Target, canonical, host_key
from lanman.manage.cluster import is_cluster, single_servers
from lanman.manage.link import split_server
from lanman.manage.selection import Pattern, is_pattern
from lanman.names import fold
from lanman.plain import dataclass
from lanman.shown import escape

STANDARD_INPUT: Final = "-"

MAX_NETWORK: Final = 1 << 24
"""Addresses of one network; what is more is not swept but mistyped."""
MAX_LINE: Final = 65536

_SHUFFLED: Final = 16384
"""Targets of which one is drawn at random, where they are shuffled."""

_RANGE: Final = re.compile(r"[\d.]+-[\d.]+")

_KEYS: Final = frozenset({"server", "port", "credential", "tags"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def bad_target(text: str, why: str, where: str = "") -> Win32Error:
    """The error of a target that cannot be understood, and where it stands."""
    place = f"{where}: " if where else ""
    return Win32Error(
        codes.ERROR_INVALID_PARAMETER,
        f"{place}{escape(text[:200])!s}: {why}",
        hint='a target is HOST, HOST:PORT, a network as 10.0.0.0/16, or a JSON object with "server"',
    )


# --- texts


def targets_of(text: str, port: int = DEFAULT_PORT, *, where: str = "") -> Iterator[Target]:
    """The targets that one text means, other than @FILE and "-". Raises Win32Error 87, and what cluster names raise."""
    text = text.strip()
    if text == THIS_MACHINE:
        yield Target(THIS_MACHINE, port)
    elif text.startswith("{"):
        yield _of_json(text, port, where)
    elif (network := _network(text, where)) is not None:
        for address in hosts(network):
            yield Target(str(address), port)
    elif is_cluster(text):
        # An event loop of its own: targets are read in a thread that has none.
        for place in asyncio.run(single_servers(text, port=port)):
            yield Target(place.server or THIS_MACHINE, place.port or port, node=place.node)
    else:
        try:
            server, at = split_server(text, port)
        except Win32Error as error:
            raise bad_target(text, error.text, where) from None
        yield Target(canonical(server), at)


def _network(text: str, where: str) -> Network | None:
    address, slash, bits = text.partition("/")
    if not slash or text.startswith("/") or not bits:
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        if bits.isdigit() and ("." in address or ":" in address):
            raise bad_target(text, "is no network", where) from None
        return None
    if network.num_addresses > MAX_NETWORK:
        raise bad_target(text, f"is a network of more than {MAX_NETWORK:,} addresses", where)
    return network


def hosts(network: Network) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The hosts of a network: without its own address and that of everybody, where it has these."""
    first, count = int(network.network_address), network.num_addresses
    make = type(network.network_address)
    if network.version == 6 or count <= 256:
        yield from network.hosts()
        return
    for low in range(256):
        for number in range(first + low, first + count, 256):
            if number not in (first, first + count - 1):
                yield make(number)


def _of_json(text: str, port: int, where: str) -> Target:
    try:
        found: Any = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise bad_target(text, "is no JSON object", where) from None
    if not isinstance(found, dict) or not isinstance(found.get("server"), str):
        raise bad_target(text, 'has no "server"', where)
    if unknown := sorted(found.keys() - _KEYS):
        raise bad_target(text, f"has an unknown key, {unknown[0]!r}", where)
    number, credential = found.get("port", port), found.get("credential")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65535:
        raise bad_target(text, "its port is none: 1 to 65535", where)
    if credential is not None and not isinstance(credential, str):
        raise bad_target(text, "its credential is no name", where)
    tags = json.dumps(found["tags"]) if found.get("tags") is not None else None
    if found["server"].strip() == THIS_MACHINE:
        return Target(THIS_MACHINE, number, credential, tags)
    try:
        server, at = split_server(found["server"], number)
    except Win32Error as error:
        raise bad_target(text, error.text, where) from None
    return Target(canonical(server), at, credential, tags)


def _no_json(name: str) -> Any:
    """NaN and Infinity, which Python takes and JSON has not (RFC 8259 6): they would come back in every row."""
    raise ValueError(name)


def as_line(target: Target) -> str:
    """A target as a JSON line that means it."""
    tags = None if target.tags is None else json.loads(target.tags)
    return json.dumps({"server": target.server, "port": target.port, "credential": target.credential, "tags": tags})


# --- files


def file_targets(path: str | Path, port: int = DEFAULT_PORT) -> Iterator[Target]:
    """The targets of a file, each as its line is read. Raises Win32Error 87 for a line, LanmanError for the file."""
    with _opened(path) as stream:
        yield from stream_targets(stream, str(path), port)


@contextmanager
def _opened(path: str | Path) -> Iterator[TextIO]:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
            yield stream
    except OSError as error:
        code = codes.ERROR_ACCESS_DENIED if isinstance(error, PermissionError) else codes.ERROR_FILE_NOT_FOUND
        raise LanmanError(
            f"{path}: cannot be read: {error.strerror}", code=code, hint="name a file of targets"
        ) from None


def stream_targets(stream: TextIO, name: str, port: int = DEFAULT_PORT) -> Iterator[Target]:
    """The targets of lines, as they come."""
    for number in itertools.count(1):
        line = stream.readline(MAX_LINE + 1)
        if not line:
            return
        if len(line) > MAX_LINE:
            raise bad_target(line[:60], "the line is too long", f"{name} line {number}")
        text = line.strip()
        if text and not text.startswith("#"):
            yield from targets_of(text, port, where=f"{name} line {number}")


# --- exclusion and shards


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of all targets: the `number`-th of `count`, from 1."""

    number: int
    count: int

    def has(self, server: str) -> bool:
        """Whether a server is one of this part."""
        digest = hashlib.blake2b(host_key(server).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.number - 1


def parse_shard(text: str) -> Shard:
    """From `2/8`. Raises Win32Error 87."""
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and len(text) < 12 and 1 <= int(number) <= int(count):
        return Shard(int(number), int(count))
    raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{text!r} is no shard", hint="write 2/8 for the second of eight")


def _excluded_server(text: str) -> str:
    """The server that a line of exclusions names, in any of the ways of a target; its port does not matter.

    Raises Win32Error 87 for what names none: a line that excludes nobody would have somebody asked.
    """
    if text.startswith("{"):
        return _of_json(text, DEFAULT_PORT, "").server
    server, _ = split_server(text, DEFAULT_PORT)
    if any(character in server for character in "#,;") or _RANGE.fullmatch(server):
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, "names no server")
    return server


class Exclusion:
    """What is not asked: names, patterns, addresses and networks."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._patterns: list[Pattern] = []
        ranges: list[tuple[int, int, int]] = []
        for text in texts:
            if is_pattern(text):
                self._patterns.append(Pattern(fold(text)))
                continue
            try:
                network = ipaddress.ip_network(text.strip(), strict=False)
            except ValueError:
                server = _excluded_server(text)
                self._names.add(host_key(server))
                try:
                    network = ipaddress.ip_network(canonical(server))
                except ValueError:
                    continue
            if network.version == 6 and network.prefixlen == 128:
                network = ipaddress.ip_network(canonical(str(network.network_address)))
            first = int(network.network_address)
            ranges.append((network.version, first, first + network.num_addresses - 1))
        self._ranges = _merged(ranges)

    def means(self, server: str, addresses: Iterable[str] = ()) -> bool:
        """Whether a server is left out, by its name or by one of its addresses."""
        if not self._names and not self._patterns and not self._ranges:
            return False
        folded = host_key(server)
        if folded in self._names or any(pattern.matches(folded) for pattern in self._patterns):
            return True
        return any(self._has_address(text) for text in (server, *addresses))

    def _has_address(self, text: str) -> bool:
        if not self._ranges:
            return False
        try:
            address = ipaddress.ip_address(canonical(text.partition("%")[0]))
        except ValueError:
            return False
        at = bisect_right(self._ranges, (address.version, int(address), 1 << 130))
        if not at:
            return False
        version, first, last = self._ranges[at - 1]
        return version == address.version and first <= int(address) <= last


def _merged(ranges: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Ranges in order, those that overlap as one."""
    merged: list[tuple[int, int, int]] = []
    for version, first, last in sorted(ranges):
        if merged and merged[-1][0] == version and first <= merged[-1][2] + 1:
            merged[-1] = (version, merged[-1][1], max(last, merged[-1][2]))
        else:
            merged.append((version, first, last))
    return merged


def read_exclusion(path: str | Path) -> Exclusion:
    """The exclusions of a file, one to a line. Raises Win32Error 87 for a line, LanmanError for the file."""
    texts: list[str] = []
    with _opened(path) as stream:
        for number, line in enumerate(stream, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            try:
                Exclusion([text])
            except Win32Error as error:
                raise bad_target(text, f"excludes nobody: {error.text}", f"{path} line {number}") from None
            texts.append(text)
    return Exclusion(texts)


# --- all of it


@dataclass(frozen=True, slots=True)
class Sources:
    """Where targets come from: texts as they are typed, files by absolute path, and which of them are taken."""

    texts: tuple[str, ...] = ()
    port: int = DEFAULT_PORT
    exclude: str | None = None
    shard: str | None = None
    shuffled: bool = False

    def checked(self) -> int | None:
        """How many there are, counted without keeping them; None where that cannot be known beforehand.

        Raises Win32Error 87 for what cannot be understood, LanmanError for a file.
        """
        total = 0
        is_known = self.exclude is None and self.shard is None
        if self.shard is not None:
            parse_shard(self.shard)
        if self.exclude is not None:
            read_exclusion(self.exclude)
        for text in self.texts:
            if text.startswith("@"):
                total += sum(1 for _ in file_targets(text[1:], self.port))
            elif (network := _network(text.strip(), "")) is not None:
                lost = 2 if network.version == 4 and network.prefixlen < 31 else 0
                total += network.num_addresses - lost
            else:
                total += sum(1 for _ in targets_of(text, self.port))
        return total if is_known else None

    def targets(self) -> Iterator[Target]:
        """Every target of the texts that is taken, in order; the same one may come more than once. It blocks where
        files do."""
        found = (self._of(text) for text in self.texts)
        return self.taken(itertools.chain.from_iterable(found))

    def taken(self, found: Iterator[Target]) -> Iterator[Target]:
        """Those that are not excluded and are of this shard."""
        exclusion = self.exclusion()
        shard = parse_shard(self.shard) if self.shard is not None else None
        taken = (
            target
            for target in found
            if not exclusion.means(target.server) and (shard is None or shard.has(target.server))
        )
        return shuffled(taken) if self.shuffled else taken

    def exclusion(self) -> Exclusion:
        """What is not asked. Raises LanmanError where its file cannot be read."""
        return read_exclusion(self.exclude) if self.exclude is not None else Exclusion()

    def _of(self, text: str) -> Iterator[Target]:
        return file_targets(text[1:], self.port) if text.startswith("@") else targets_of(text, self.port)


def shuffled(targets: Iterator[Target], draw: Callable[[int], int] = random.randrange) -> Iterator[Target]:
    """The same targets in a random order, as far as 16,384 of them are held at a time."""
    held: list[Target] = []
    for target in targets:
        held.append(target)
        if len(held) >= _SHUFFLED:
            yield _drawn(held, draw)
    while held:
        yield _drawn(held, draw)


def _drawn(held: list[Target], draw: Callable[[int], int]) -> Target:
    at = draw(len(held))
    held[at], held[-1] = held[-1], held[at]
    return held.pop()
