"""server.toml, read into a `lanman.settings.Configuration`; every error names its file, line and key.

Which sections and keys there are, and what may be written for each, `lanman.settings` declares. A key that is not
declared there is an error: a misspelt `encyption = "required"` must not pass unnoticed.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lanman.errors import AccessDenied, LanmanError
from lanman.names import fold
from lanman.net.place import read_file
from lanman.settings import (
    SECTIONS,
    Configuration,
    Setting,
    ShareConfiguration,
    configuration_of,
    share_name_problem,
)
from lanman.shown import escape

# Far more than the configuration of a hundred thousand shares takes, in bytes.
MAX_SIZE: Final = 64 * 1024 * 1024

_SHARES: Final = "shares"
_SHARE: Final = SECTIONS["shares.NAME"]
_PLAIN: Final = {name: settings for name, settings in SECTIONS.items() if settings is not _SHARE}


class ConfigurationError(LanmanError):
    """The configuration cannot be used; the message names the file, the line and the key."""

    code = 87  # ERROR_INVALID_PARAMETER


def parse_configuration(text: str, source: str = "server.toml") -> Configuration:
    """The configuration that `text` describes. Raises ConfigurationError, which names `source`, line and key."""
    document, reader = parsed_toml(text, source)
    for name in document:
        if name not in _PLAIN and name != _SHARES:
            raise reader.error((), name, "is not a section of this file")
    shares = reader.table(document, _SHARES)
    known: dict[str, str] = {}
    for name in shares:
        if (other := known.setdefault(fold(name), name)) != name:
            raise reader.error(
                (_SHARES, name), None, f"is the same share as [shares.{other}]: letter case does not count"
            )
    return configuration_of(
        {name: reader.section(document, name, settings) for name, settings in _PLAIN.items()},
        {name: reader.share(shares, name) for name in shares},
    )


def parsed_toml(text: str, source: str) -> tuple[dict[str, Any], Reader]:
    """The document that `text` is, and the Reader of its sections. Raises ConfigurationError with `source` and line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # tomllib ends its message with "(at line 3, column 7)".
        where = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = f" line {where[1] if where else len(text.splitlines())}"
        problem = re.sub(r" *\(at .*\)$", "", str(error))
        raise ConfigurationError(f"{source}{line}: {problem}") from None
    return document, Reader(text, source)


def read_configuration(path: Path, *, named: bool = False) -> Configuration:
    """The configuration in a file; the defaults where there is none. One that somebody has `named` may lie anywhere;
    the home's own is found as `net.place` says. Raises ConfigurationError, and AccessDenied as `net.place` does."""
    try:
        found = (path.read_bytes(), None) if named else read_file(path, MAX_SIZE)
        if found is None:
            return Configuration()
        text = found[0].decode("utf-8")
    except FileNotFoundError:
        return Configuration()
    except AccessDenied:
        raise
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}", code=5 if error.errno == 13 else 2
        ) from None
    return parse_configuration(text, str(path))


class Reader:
    """Checks tables against the declared settings and finds the line that an error is about."""

    def __init__(self, text: str, source: str) -> None:
        self._lines = text.splitlines()
        self._source = source

    def table(self, parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """A section of the document, empty where there is none. Raises ConfigurationError for what is no section."""
        value = parent.get(name, {})
        if not isinstance(value, dict):
            raise self.error((), name, f"must be a section, written [{name}]")
        return value

    def section(
        self, parent: Mapping[str, Any], name: str, settings: Mapping[str, Setting], *path: str
    ) -> dict[str, Any]:
        """The checked values of a section, by name. Raises ConfigurationError for an unknown key and a bad value."""
        checked = {}
        for key, value in self.table(parent, name).items():
            if key not in settings:
                raise self.error((*path, name), key, "is not a key of this section")
            try:
                checked[key] = settings[key].check(value)
            except ValueError as error:
                raise self.error((*path, name), key, str(error)) from None
        return checked

    def complete_section(
        self, parent: Mapping[str, Any], name: str, settings: Mapping[str, Setting], *path: str
    ) -> dict[str, Any]:
        """As `section`. Raises ConfigurationError for a key that has to be given and is not, too."""
        values = self.section(parent, name, settings, *path)
        for key, each in settings.items():
            if each.required and key not in values:
                raise self.error((*path, name), key, each.required)
        return values

    def share(self, shares: Mapping[str, Any], name: str) -> ShareConfiguration:
        """The share of a [shares.NAME]. Raises ConfigurationError, for a bad name and what is missing too."""
        if problem := share_name_problem(name):
            raise self.error((_SHARES, name), None, problem)
        return ShareConfiguration(**self.complete_section(shares, name, _SHARE, _SHARES))

    def error(self, section: tuple[str, ...], key: str | None, problem: str) -> ConfigurationError:
        """The error of a key, or of a whole section (`key` None); its message has the file, the line and both."""
        heading = escape(".".join(section))
        line = self._line(section, key)
        where = f"{self._source} line {line}" if line else self._source
        return ConfigurationError(
            f"{where}: {f'[{heading}] ' if heading else ''}{escape(key or '')} {problem}".replace("  ", " ")
        )

    def _line(self, section: tuple[str, ...], key: str | None) -> int | None:
        """The first line that sets `key` in `section`; its heading or the section's if there is none; for a section
        that is written within another one, or by itself (`name = { key = ... }`), the line of its name there; else
        None."""
        current: tuple[str, ...] = ()
        heading_line = None
        for number, line in enumerate(self._lines, 1):
            if heading := re.match(r"\s*\[\[?\s*([^\[\]]+?)\s*\]?\]\s*(#.*)?$", line):
                current = tuple(part.strip(" \"'") for part in heading[1].split("."))
                if current == section or (key and current == (*section, key)):
                    heading_line = number
            elif key and (
                (current == section and re.match(_dotted(key), line))
                or (section and current == section[:-1] and re.match(_dotted(section[-1], key), line))
            ):
                return number
        if heading_line is None and section:
            return self._line(section[:-1], section[-1])
        return heading_line


def _dotted(*names: str) -> str:
    """A pattern for the beginning of `key = ...`, or of `table.key = ...`."""
    quoted = (rf"[\"']?{re.escape(name)}[\"']?" for name in names)
    return r"\s*" + r"\s*\.\s*".join(quoted) + r"\s*[=.]"


def with_options(configuration: Configuration, **options: Any) -> Configuration:
    """The configuration with what was given on the command line put over it: options are settings of [server] by name,
    and those that are None change nothing. Raises ConfigurationError, which names the option."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        try:
            given[name] = SECTIONS["server"][name].check(list(value) if isinstance(value, tuple) else value)
        except ValueError as error:
            raise ConfigurationError(f"{name.replace('_', '-')}: {error}") from None
    return dataclasses.replace(configuration, **given)
