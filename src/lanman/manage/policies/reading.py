"""policies.toml, read into `Policies`; every error names the file, the line and the key, and what would be right.

The file lies beside lanman.toml, and the rules of that one hold for it: what others may change is refused
(`lanman.net.client_configuration`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from lanman import codes
from lanman.manage.policies import declared
from lanman.manage.policies.declared import Policies, Policy, Select, Tell
from lanman.net.client_configuration import configuration_folder, guarded_text
from lanman.net.configuration import ConfigurationError, Reader, parsed_toml
from lanman.settings import Setting

FILE: Final = "policies.toml"

_POLICIES: Final = "policies"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_HINT: Final = "docs/reference/policies.md has every key; `lanman policy check` reads the file and does nothing."


def policies_path() -> Path:
    """Where policies.toml of this user lies."""
    return configuration_folder() / FILE


def read_policies(path: Path | None = None) -> Policies:
    """The policies in a file, without a path in this user's. Raises ConfigurationError for a mistake and where there is
    no such file, AccessDenied for one that others could have changed."""
    place = policies_path() if path is None else path
    text, _ = guarded_text(place)
    if text is None:
        raise ConfigurationError(
            f"{place}: is not there",
            code=codes.ERROR_FILE_NOT_FOUND,
            hint="Write it, with a section [policies.NAME] for each policy, or name another file with --policies.",
        )
    return parse_policies(text, str(place))


def parse_policies(text: str, source: str = FILE) -> Policies:
    """The policies that a text describes. Raises ConfigurationError, which names `source`, line and key."""
    document, reader = parsed_toml(text, source)
    for name in document:
        if name != _POLICIES and name not in declared.FILE:
            known = [_POLICIES, *declared.FILE]
            raise reader.error((), name, f"is not known here: {_one_of(name, known)}")
    top = {
        name: _checked(reader, (), setting, document[name])
        for name, setting in declared.FILE.items()
        if name in document
    }
    found = reader.table(document, _POLICIES)
    if not found:
        raise ConfigurationError(f"{source}: has no policy: each is a section [policies.NAME]", hint=_HINT)
    policies = {name: _policy(reader, found, name) for name in found}
    return Policies(policies, source=source, **top)


def _policy(reader: Reader, parent: Mapping[str, Any], name: str) -> Policy:
    section = (_POLICIES, name)
    if not isinstance(parent[name], dict):
        raise reader.error((_POLICIES,), name, "must be a section, written [policies.NAME]")
    if not re.fullmatch(_NAME, name):
        raise reader.error(section, None, "must be named by at most 64 letters, digits, - and _")
    given = dict(parent[name])
    tell = given.get("tell")
    if tell is False:
        del given["tell"]
    values = _values(reader, section, declared.POLICY, given)
    if tell is False:
        values["tell"] = None
    elif "tell" in values:
        values["tell"] = Tell(**_values(reader, (*section, "tell"), declared.TELL, values["tell"]))
    if "select" in values:
        if not values["select"]:
            raise reader.error(section, "select", 'must not be empty: { user = ["*"] } is everybody who has a name')
        values["select"] = Select(**_values(reader, (*section, "select"), declared.SELECT, values["select"]))
    policy = Policy(name, **values)
    _check_together(reader, section, policy, values)
    return policy


def _values(
    reader: Reader, section: tuple[str, ...], settings: Mapping[str, Setting], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The checked values of a table, by name."""
    values = {}
    for key, value in given.items():
        if key not in settings:
            raise reader.error(section, key, f"is not a key of this section: {_one_of(key, list(settings))}")
        values[key] = _checked(reader, section, settings[key], value)
    return values


def _checked(reader: Reader, section: tuple[str, ...], setting: Setting, value: Any) -> Any:
    try:
        return setting.check(value)
    except ValueError as error:
        raise reader.error(section, setting.name, str(error)) from None


def _one_of(wrong: str, known: list[str]) -> str:
    """What may have been meant."""
    alike = get_close_matches(wrong.casefold(), known, 1)
    return f"`{alike[0]}` may be meant" if alike else f"it is one of {', '.join(known)}"


def _check_together(reader: Reader, section: tuple[str, ...], policy: Policy, values: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for keys that say nothing together, or contradict each other."""
    hours = "outside" if "outside" in values else "during"
    if "outside" in values and "during" in values:
        raise reader.error(section, "during", "must not stand beside `outside`: keep one of them")
    if policy.hours is not None and policy.zone is None:
        raise reader.error(section, hours, 'needs a time zone: add zone = "Europe/Berlin", or whichever it is')
    if policy.hours is None and policy.zone is not None:
        raise reader.error(section, "zone", "does nothing without `outside` or `during`: add one, or leave it out")
    if policy.outside is not None and policy.outside.always:
        raise reader.error(section, "outside", "must leave some hours of the week: this policy would always sleep")
    if "select" not in values and not policy.has_maximum:
        raise reader.error(
            section,
            None,
            "must say whom it means: add `select`, `max_sessions_per_user` or `max_sessions_per_client`",
        )
    if "end" in values and not policy.has_maximum:
        raise reader.error(
            section, "end", "does nothing without `max_sessions_per_user` or `max_sessions_per_client`: leave it out"
        )


def only(policies: Policies, names: tuple[str, ...]) -> Policies:
    """Those of some names; all for none. Raises ConfigurationError for a name that is none."""
    for name in names:
        if name not in policies.policies:
            raise ConfigurationError(
                f"{policies.source}: has no policy {name!a}: {_one_of(name, list(policies.policies))}"
            )
    chosen = {name: each for name, each in policies.policies.items() if name in names} if names else policies.policies
    return replace(policies, policies=chosen)
