"""What a filter selects: which of the values that a server lists a typed value means.

Rules, for paths, users and clients alike:

  - A typed value that equals a listed one, letter case included, means that one alone. It may be typed as it is listed
    or as it is shown (`lanman.shown`).
  - Where several are shown as what was typed, and none is equal, none is meant: that is refused.
  - Only where none is equal, `*` and `?` are patterns, and nothing else is; a name without them is compared as
    `lanman.names` says, without regard to letter case.
  - Several filters select what each of them selects on its own. Each looks at all that the server lists.
  - An empty filter selects nothing and everything: it is refused.

docs/reference/selecting.md says the same for people, with what is particular to each kind of value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from lanman import codes
from lanman.errors import Win32Error
from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo
from lanman.shown import escape

Test = Callable[[str], bool]

_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True)
class _IsShownAs:
    """A value as it is shown. `strip` takes off what is no part of it."""

    typed: str
    strip: Callable[[str], str] = str

    def __call__(self, value: str) -> bool:
        return escape(self.strip(value)) == self.typed


def choose(listed: Iterable[str | None], tests: Iterable[Test]) -> frozenset[str]:
    """The listed values that pass the first test that any of them passes.

    Raises Win32Error 52 where several values are shown as what was typed: it is ambiguous.
    """
    values = frozenset(value for value in listed if value)
    for test in tests:
        if found := frozenset(filter(test, values)):
            if isinstance(test, _IsShownAs) and len({test.strip(value) for value in found}) > 1:
                raise Win32Error(
                    codes.ERROR_DUP_NAME,
                    f"{len(found)} different names are shown as {test.typed}",
                    hint="take the one that is meant from --json, or say it by its identification number",
                )
            return found
    return frozenset()


# --- patterns


def is_pattern(text: str) -> bool:
    """Whether `*` or `?` stand in it."""
    return "*" in text or "?" in text


class Pattern:
    """`*` is any characters or none, `?` is one; every other character is itself. Time is linear in the text.

    Each part between two stars is looked for from left to right, behind the one before it: the leftmost place leaves
    the most room for the rest, so no place is ever tried again.
    """

    def __init__(self, text: str) -> None:
        self._parts = re.split(r"\*+", text)

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole of a text."""
        head, tail = self._parts[0], self._parts[-1]
        if len(self._parts) == 1:
            return len(text) == len(head) and _is_at(head, text, 0)
        end = len(text) - len(tail)
        if end < len(head) or not _is_at(head, text, 0) or not _is_at(tail, text, end):
            return False
        position = len(head)
        for part in self._parts[1:-1]:
            found = _find(part, text, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return True


def _is_at(part: str, text: str, position: int) -> bool:
    if "?" not in part:
        return text.startswith(part, position)
    return all(wanted in ("?", text[position + offset]) for offset, wanted in enumerate(part))


def _find(part: str, text: str, start: int, end: int) -> int:
    """Where `part` stands first in text[start:end]; -1 where it does not."""
    if "?" not in part:
        return text.find(part, start, end)
    # Shift-and: bit i of the state says that the last i + 1 characters match the first i + 1 of the part.
    anything = sum(1 << place for place, wanted in enumerate(part) if wanted == "?")
    masks: dict[str, int] = {}
    for place, wanted in enumerate(part):
        if wanted != "?":
            masks[wanted] = masks.get(wanted, anything) | 1 << place
    state, whole = 0, 1 << len(part) - 1
    for position in range(start, end):
        state = (state << 1 | 1) & masks.get(text[position], anything)
        if state & whole:
            return position - len(part) + 1
    return -1


def _equal_or_shown(typed: str, strip: Callable[[str], str] = str) -> Iterator[Test]:
    yield lambda value: strip(value) == typed
    yield _IsShownAs(typed, strip)


def _alike(typed: str) -> Test:
    """A pattern, or a name without regard to letter case."""
    folded = fold(typed)
    if is_pattern(typed):
        pattern = Pattern(folded)
        return lambda value: pattern.matches(fold(value))
    return lambda value: fold(value) == folded


# --- what is no filter


def check_filters(*, client: str | None = None, user: str | None = None, path: str | None = None) -> None:
    """Refuse a filter that is empty, or is nothing but a domain. Raises Win32Error 2351 (client) or 87."""
    if client is not None and not bare_client(client):
        raise _empty(codes.NERR_InvalidComputer, "client", client)
    if user is not None and not user_forms(user)[-1]:
        raise _empty(codes.ERROR_INVALID_PARAMETER, "user", user)
    if path == "":
        raise _empty(codes.ERROR_INVALID_PARAMETER, "path", path)


def empty_filter(kind: str, typed: str) -> str:
    """What to say of a filter that is empty: "client", "user" or "path"."""
    if typed:
        return f"the {kind} in the filter {escape(typed)} is empty: nothing is left without its domain or slashes"
    return f"the filter by {kind} is empty: it would select nothing, or everything"


def _empty(code: int, kind: str, typed: str) -> Win32Error:
    return Win32Error(code, empty_filter(kind, typed), hint=f"name the {kind}, or leave the filter out")


# --- users


def user_forms(typed: str) -> list[str]:
    r"""What a typed user may be listed as, likeliest first: as it stands, without `DOMAIN\`, without `@domain`."""
    behind = typed.rpartition("\\")[2]
    return list(dict.fromkeys([typed, behind, behind.partition("@")[0]]))


def _user_tests(typed: str, patterns: bool) -> Iterator[Test]:
    for name in user_forms(typed):
        yield from _equal_or_shown(name)
        if not is_pattern(name):
            yield _alike(name)
        elif patterns and name == typed:
            # EXAMPLE\* is everybody of a domain: where no domains are listed, that is not everybody.
            yield _alike(name)


def chosen_users(listed: Iterable[str | None], typed: str, *, patterns: bool = True) -> frozenset[str]:
    r"""The listed users that are meant. `DOMAIN\user` and `user@domain` mean `user` where only that is listed.

    A pattern keeps its domain. Raises Win32Error 87 for a user that is empty, or that is nothing but a domain.
    """
    check_filters(user=typed)
    return choose(listed, _user_tests(typed, patterns))


def same_user(listed: str | None, wanted: str) -> bool:
    """Whether a listed user is the wanted one, where no others are listed; no pattern."""
    return listed is not None and (listed == wanted or any(test(listed) for test in _user_tests(wanted, False)))


# --- clients


def bare_client(name: str) -> str:
    r"""A client's name without the backslashes before it, and an IPv6 address without its brackets; else as it is."""
    bare = name.lstrip("\\/")
    return bare[1:-1] if bare.startswith("[") and bare.endswith("]") and ":" in bare else bare


def canonical_client(name: str) -> str:
    """A client's name in the one form in which names are compared: no backslashes or brackets, letter case folded.

    >>> canonical_client("//PC7"), canonical_client(r"\\\\[0:0::1]"), canonical_client("::ffff:10.0.0.1")
    ('pc7', '::1', '10.0.0.1')
    """
    bare = name.strip().lstrip("\\/").strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    if ":" in bare or bare[:1].isdigit():
        try:
            address = ipaddress.ip_address(bare)
        except ValueError:
            pass
        else:
            mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
            return str(mapped or address)
    return fold(bare).translate(_ASCII_LOWER).removesuffix(".")


def is_address(name: str) -> bool:
    """Whether a client or server is written as an IP address rather than a name."""
    try:
        ipaddress.ip_address(canonical_client(name).partition("%")[0])
    except ValueError:
        return False
    return True


def is_this_machine(name: str, host_name: str) -> bool:
    """Whether a name or address is that of the machine that asks, which calls itself `host_name`."""
    wanted = canonical_client(name)
    if wanted in ("localhost", canonical_client(host_name)):
        return True
    return is_address(wanted) and ipaddress.ip_address(wanted.partition("%")[0]).is_loopback


def equal_clients(listed: Iterable[str | None], typed: str) -> frozenset[str]:
    """The listed clients that equal a typed one, letter case included, whatever backslashes stand before them."""
    return choose(listed, _equal_or_shown(bare_client(typed), bare_client))


def alike_clients(listed: Iterable[str | None], typed: str, also: frozenset[str] = frozenset()) -> frozenset[str]:
    """The listed clients that a typed one means where none is equal. `also`: canonical names that it has besides."""
    if is_pattern(typed):
        alike = _alike(bare_client(typed))
        return choose(listed, [lambda value: alike(bare_client(value))])
    canonical = (also | {canonical_client(typed)}) - {""}
    return choose(listed, [lambda value: canonical_client(value) in canonical])


# --- paths


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _path_forms(path: str) -> tuple[str, ...]:
    """A listed path with `/`, without a slash behind it; and so without its drive, where that is C: and no other."""
    plain = _slashes(path).rstrip("/")
    return (plain, plain[2:]) if plain[:2] in ("C:", "c:") else (plain,)


def _path_tests(typed: str) -> Iterator[Test]:
    yield from _equal_or_shown(typed)
    plain = _slashes(typed).rstrip("/")
    yield lambda value: plain in _path_forms(value)
    # A slash behind a pattern stays: without it `a*/` would mean more than it says.
    alike = _alike(_slashes(typed) if is_pattern(typed) else plain)
    yield lambda value: any(alike(form) for form in _path_forms(value))


@dataclass(frozen=True, slots=True)
class UncPath:
    r"""`\\server\share\path`, as clients write it. `rest` is without a slash before it, and may be a pattern."""

    server: str
    share: str
    rest: str

    def below(self, folder: str) -> str:
        """The path where the share's folder is `folder`."""
        separator = "/" if folder.startswith("/") else "\\"
        rest = self.rest.replace("\\", "/") if separator == "/" else self.rest.replace("/", "\\")
        return folder.rstrip("\\/") + (separator + rest if rest else "") or separator


def split_unc(path: str) -> UncPath | None:
    """What a path of a share names; None for any other path. No server lists a path that begins with two slashes."""
    if path[:2] not in ("\\\\", "//"):
        return None
    server, _, behind = path[2:].replace("/", "\\").partition("\\")
    share, _, rest = behind.partition("\\")
    return UncPath(server, share, rest) if server and share and not is_pattern(server + share) else None


def chosen_paths(listed: Iterable[str | None], typed: str) -> frozenset[str]:
    r"""The listed paths that are meant. `*` and `?` match separators too; a folder means itself, not what is below it.

    `/` and `\` are the same; a path without a drive also means the one behind `C:`, since servers on other systems than
    Windows list `/srv/a.txt` as `C:\srv\a.txt`. Raises Win32Error 87 for an empty path.
    """
    check_filters(path=typed)
    return choose(listed, _path_tests(typed))


def is_below(path: str | None, folder: str) -> bool:
    """Whether a listed path is a folder, or below it. `/` and `\\` are the same. Letter case counts, but not on a
    drive, as Windows has them."""
    if path is None:
        return False
    plain, above = _slashes(path).rstrip("/"), _slashes(folder).rstrip("/")
    if above[1:2] == ":":
        plain, above = fold(plain), fold(above)
    return plain == above or plain.startswith(f"{above}/")


# --- records


def select_sessions(
    entries: Iterable[SessionInfo], clients: frozenset[str] | None, user: str | None, *, patterns: bool = True
) -> list[SessionInfo]:
    """Those entries that a filter means. `clients` are canonical names; None is no filter."""
    entries = list(entries)
    users = None if user is None else chosen_users((entry.user_name for entry in entries), user, patterns=patterns)
    return [
        entry
        for entry in entries
        if (clients is None or canonical_client(entry.client_name or "") in clients)
        and (users is None or entry.user_name in users)
    ]


def select_files(
    entries: Iterable[FileInfo], *, path: str | None, user: str | None, among: Iterable[FileInfo] | None = None
) -> list[FileInfo]:
    """Those entries that a filter means. `among` is all that the server lists, where `entries` are not."""
    entries = list(entries)
    everything = entries if among is None else list(among)
    paths = None if path is None else chosen_paths((entry.path for entry in everything), path)
    users = None if user is None else chosen_users((entry.user_name for entry in everything), user)
    return [
        entry
        for entry in entries
        if (paths is None or entry.path in paths) and (users is None or entry.user_name in users)
    ]
