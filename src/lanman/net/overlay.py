"""What was changed while the Server ran, kept beside server.toml and never in it: the file `settings` of the home.

server.toml is written by people, with comments and an order of its own, and is only read. What management calls change
goes into this file, which lies over it:

    version = 2

    [[setting]]
    name = "autodisconnect"
    value = 30
    instead_of = 15

    [[share]]
    name = "data"

    [share.value]               # none: it was deleted
    path = "/srv/data"
    comment = "of us all"

    [share.instead_of]          # none: there was none
    path = "/srv/data"

Version 1 says no version; lanman 0.1.0 wrote it, with inline tables. It means the same.

The rules:

* An entry says what server.toml said when it was made (`instead_of`), and counts as long as it still says that. Once
  that setting or share is edited in server.toml, the entry is ignored. What the command line says at the start has
  precedence too: `forget`.
* Which settings there can be is what `lanman.settings` declares as changeable.
* Of two entries of one name the later counts. One that says what server.toml says anyway takes an earlier one back.
* A change is added to the end, between two marks (`# ---`, `# +++`), and the whole is written anew when it has doubled,
  so a change costs the same however many there are. What follows the last opening mark without a closing one was left
  by a writer that was killed, and is no change.
* Every write is made under the file's lock (`net.atomic`), after a look whether the file is still the one that was
  read; if it is not, it is read again first. So another writer, or a person, loses nothing.
* The file is TOML, so that people can read it, and may delete an entry or all of it while no Server runs. What cannot
  be understood, or has a newer version, is refused by every method and never written over.
"""

from __future__ import annotations

import dataclasses
import logging
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import tomli_w

from lanman.domain import Share
from lanman.names import fold
from lanman.net.atomic import AtomicFile, Content, Identity
from lanman.net.configuration import ConfigurationError
from lanman.plain import dataclass
from lanman.settings import (
    CHANGEABLE,
    Configuration,
    ShareConfiguration,
    check_changeable,
    parse_share,
    value_of,
    with_values,
)
from lanman.versions import NewerVersion, check_version, version_line

log: Final = logging.getLogger("lanman.server")

HEADING: Final = """\
# Written by the Server: what was changed while it ran. An entry counts as long as server.toml still says what it
# stands in place of. To go back to server.toml, delete entries while the Server is stopped.
"""


VERSION: Final = 2

# What a change that is added to the end stands between, and how many may stand there at least.
_OPENS: Final = "# ---"
_CLOSES: Final = "# +++"
_FEW: Final = 64


@dataclass(slots=True)
class SettingChange:
    """A setting's value, and what the configuration said when it was changed."""

    value: Any
    instead_of: Any


@dataclass(slots=True)
class ShareChange:
    """`value` None: deleted. `instead_of` None: it was not in the configuration."""

    name: str
    value: ShareConfiguration | None
    instead_of: ShareConfiguration | None


@dataclass(slots=True)
class Overlay:
    """The entries; shares by their folded names."""

    settings: dict[str, SettingChange] = field(default_factory=dict)
    shares: dict[str, ShareChange] = field(default_factory=dict)

    def set(self, name: str, setting: SettingChange) -> None:
        """An entry, in place of an earlier one; none, if it changes nothing."""
        self.settings.pop(name, None)
        if setting.value != setting.instead_of:
            self.settings[name] = setting

    def share(self, change: ShareChange) -> None:
        """The same for a share."""
        self.shares.pop(fold(change.name), None)
        if change.value != change.instead_of:
            self.shares[fold(change.name)] = change


@dataclass(slots=True)
class _Known:
    """What the file said when this process last read or wrote it, and how many changes stand at its end."""

    state: Overlay
    identity: Identity
    added: int = 0


class SettingsFile:
    """The file `settings` of a home. Used by one Server; that several processes change it at once loses nothing."""

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path, "settings")
        self._known: _Known | None = None
        self._names: tuple[Configuration, dict[str, str]] | None = None

    def over(self, base: Configuration) -> Configuration:
        """The configuration with what was changed lying over it. Raises ConfigurationError, naming the file, for one
        that cannot be understood, and LanmanError for one that cannot be read."""
        state = self._parsed(self._file.read())
        values = {
            name: setting.value
            for name, setting in state.settings.items()
            if setting.instead_of == value_of(base, CHANGEABLE[name])
        }
        changes = {name: change for name, change in state.shares.items() if _holds(change, base)}
        shares: dict[str, ShareConfiguration] = {}
        for name, share in base.shares.items():
            if (change := changes.pop(fold(name), None)) is None:
                shares[name] = share
            elif change.value is not None:
                shares[change.name] = change.value
        shares |= {change.name: change.value for change in changes.values() if change.value is not None}
        return dataclasses.replace(with_values(base, values), shares=shares)

    def keep_settings(self, base: Configuration, values: Mapping[str, Any]) -> None:
        """Keep these, in place of what `base` says. Raises LanmanError when the disk does not take them."""

        def change(state: Overlay) -> str:
            entries = {name: SettingChange(value, value_of(base, CHANGEABLE[name])) for name, value in values.items()}
            for name, setting in entries.items():
                state.set(name, setting)
            return "".join(_dump_setting(name, setting) for name, setting in entries.items())

        self._update(change)

    def keep_share(self, base: Configuration, name: str, share: Share | None) -> None:
        """Keep a share as it is now, or that it is no more (None). Raises LanmanError as `keep_settings`."""

        def change(state: Overlay) -> str:
            in_base = self._named(base, name)
            instead_of = base.shares[in_base] if in_base is not None else None
            value = None if share is None else configuration_of(share, instead_of)
            entry = ShareChange(name, value, instead_of)
            state.share(entry)
            return _dump_share(entry)

        self._update(change)

    def forget(self, names: Collection[str]) -> None:
        """Remove the entries of these settings and shares, which the command line has just given values."""
        folded = {fold(name) for name in names}
        state = self._parsed(self._file.read())
        if state.settings.keys().isdisjoint(names) and folded.isdisjoint(state.shares):
            return

        def change(state: Overlay) -> None:
            for name in names:
                state.settings.pop(name, None)
                state.shares.pop(fold(name), None)

        self._rewrite(change)

    def share_names(self) -> frozenset[str]:
        """The folded names of the shares that it has something to say about."""
        return frozenset(self._parsed(self._file.read()).shares)

    def _update(self, change: Callable[[Overlay], str]) -> None:
        """Make a change, which gives its entries as they are to be written."""
        known, self._known = self._known, None
        if known is not None and known.added < max(_FEW, len(known.state.settings) + len(known.state.shares)):
            entries = f"\n{_OPENS}\n{change(known.state)}{_CLOSES}\n".encode()
            if (identity := self._file.append(entries, known.identity)) is not None:
                self._known = _Known(known.state, identity, known.added + 1)
                return
        self._rewrite(change)

    def _rewrite(self, change: Callable[[Overlay], object]) -> None:
        states: list[Overlay] = []

        def changed(content: Content | None) -> bytes:
            state = self._parsed(content)
            change(state)
            states.append(state)
            return _dump(state)

        self._known = None
        identity = self._file.update(changed)
        self._known = _Known(states[-1], identity)

    def _named(self, base: Configuration, name: str) -> str | None:
        """How the configuration writes the name of a share, if it has it."""
        if self._names is None or self._names[0] is not base:
            self._names = base, {fold(each): each for each in reversed(list(base.shares))}
        return self._names[1].get(fold(name))

    def _parsed(self, content: Content | None) -> Overlay:
        return Overlay() if content is None else parse(content.data, str(self._file.path))


def configuration_of(share: Share, base: ShareConfiguration | None = None) -> ShareConfiguration:
    """A share of the domain, as the configuration would have it. What the domain knows nothing of is as `base` says,
    which is what server.toml has for the share: only server.toml can change that."""
    return dataclasses.replace(
        base or ShareConfiguration(share.path),
        path=share.path,
        comment=share.remark,
        read=None if share.readers is None else tuple(sorted(share.readers)),
        write=None if share.writers is None else tuple(sorted(share.writers)),
        max_users=share.max_users,
        hidden=share.hidden,
        encryption=share.encrypt_data,
        guest=share.guest,
        windows_names="allow" if share.device_names else "strict",
        confined=share.confined,
    )


def parse(data: bytes, source: str) -> Overlay:
    """What the file says. Raises ConfigurationError, which names `source` and the entry."""
    try:
        _, version = version_line(data) or (1, 1)
        check_version(version, VERSION)
        document = tomllib.loads(_whole(data).decode("utf-8"))
    except NewerVersion as error:
        raise ConfigurationError(f"{source}: {error.message}", hint=error.hint) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{source}: {error}", hint=_REMEDY) from None
    state = Overlay()
    try:
        if document.pop("version", 1) not in (1, VERSION):
            raise ValueError("version: is none that there has been")
        for name, entries in document.items():
            if name not in ("setting", "share") or not isinstance(entries, list):
                raise ValueError(f"{name}: is nothing that this file has")
            for number, entry in enumerate(entries, 1):
                try:
                    (_read_setting if name == "setting" else _read_share)(state, entry)
                except KeyError as error:
                    raise ValueError(f"[[{name}]] number {number}: has no {error.args[0]}") from None
                except (ValueError, TypeError, AttributeError) as error:
                    raise ValueError(f"[[{name}]] number {number}: {error}") from None
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}", hint=_REMEDY) from None
    return state


def _whole(data: bytes) -> bytes:
    """The file without the part of a change that a writer has left who was killed."""
    before, opens, after = data.rpartition(f"\n{_OPENS}\n".encode())
    return before if opens and f"{_CLOSES}\n".encode() not in after else data


_REMEDY: Final = "The Server writes this file; without it, what was changed at run time is as server.toml says."


def _read_setting(state: Overlay, entry: dict[str, Any]) -> None:
    name = entry["name"]
    state.set(name, SettingChange(check_changeable(name, entry["value"]), check_changeable(name, entry["instead_of"])))


def _read_share(state: Overlay, entry: dict[str, Any]) -> None:
    name = entry["name"]
    value, instead_of = (parse_share(name, entry[key]) if key in entry else None for key in ("value", "instead_of"))
    state.share(ShareChange(name, value, instead_of))


def _holds(change: ShareChange, base: Configuration) -> bool:
    """Whether the configuration still says what it said when the share was changed."""
    in_base = _named(base.shares, change.name)
    return change.instead_of == (base.shares[in_base] if in_base is not None else None)


def _named(shares: Mapping[str, ShareConfiguration], name: str) -> str | None:
    """How the configuration writes the name of a share, if it has it."""
    return next((each for each in shares if fold(each) == fold(name)), None)


# --- as it is written


def _dump(state: Overlay) -> bytes:
    lines = [f"{HEADING}\nversion = {VERSION}\n"]
    lines += [_dump_setting(name, setting) for name, setting in state.settings.items()]
    lines += map(_dump_share, state.shares.values())
    return "\n".join(lines).encode()


def _dump_setting(name: str, setting: SettingChange) -> str:
    return "[[setting]]\n" + tomli_w.dumps({"name": name, "value": setting.value, "instead_of": setting.instead_of})


def _dump_share(change: ShareChange) -> str:
    shares = {"value": change.value, "instead_of": change.instead_of}
    tables = {key: _without_defaults(share) for key, share in shares.items() if share is not None}
    return f"[[share]]\n{tomli_w.dumps({'name': change.name})}" + (
        "\n" + tomli_w.dumps({"share": tables}) if tables else ""
    )


def _without_defaults(share: ShareConfiguration) -> dict[str, Any]:
    values = {each.name: (getattr(share, each.name), each.default) for each in dataclasses.fields(share)}
    return {name: value for name, (value, default) in values.items() if value != default}
