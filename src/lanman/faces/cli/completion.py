r"""`lanman completion SHELL`, and what the shells ask when somebody presses TAB.

What a shell is given is a few lines that call `lanman __complete SHELL WORD...`, where the last word is the one being
typed, and offer what is printed: one candidate a line and, behind a tab, what it means. So the words of all shells are
those of the verbs themselves, in both dialects: `/DELETE` where a slash was typed, in the case it was typed in, and
`--delete` where a dash was. Clients, open files, shares and accounts of this machine's own Server are completed too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.loader import load, names
from lanman.faces.cli.options import (
    COMMON_OPTIONS,
    NetOption,
    Program,
    switches,
)
from lanman.faces.cli.parameters import Argument, Context, Option, Parameter
from lanman.faces.dialect import DialectError, Grammar, split_verb

FILES: Final = ":files"


def emit_candidates(words: Sequence[str], program: Program) -> int:
    """Answer a shell: `words` are its name and the words behind `lanman`, the last of them unfinished. Never fails."""
    shell, *typed = words or [""]
    *before, current = typed or [""]
    try:
        found = list(candidates(before, current, program))
    except (DialectError, LanmanError):
        return output.EXIT_SUCCESS
    for word, about in dict(found).items():
        # Only fish and zsh know what to do with a meaning.
        output.emit([f"{word}\t{about}" if about and shell != "bash" else word])
    return output.EXIT_SUCCESS


def candidates(before: Sequence[str], current: str, program: Program) -> Iterator[tuple[str, str]]:
    """The words that may stand where `current` has been begun, each with what it means."""
    name, rest = split_verb(_without_last_value(before, COMMON_OPTIONS), Grammar(switches(COMMON_OPTIONS)))
    if name is None:
        yield from _options(COMMON_OPTIONS, before, current)
        if current[:1] not in ("-", "/"):
            begun = current.casefold()
            yield from ((each, load(each).summary) for each in names() if each.startswith(begun))
        return
    command = load(name)
    # What stands before it, for a completer whose words depend on that.
    words = [word for word in rest if not word.startswith(("-", "/"))]
    context = Context(program, words)
    if (waiting := _waiting_for_value(before, command.params)) is not None:
        yield from _values(context, waiting, current)
    elif current.startswith("-") or (current.startswith("/") and not current.startswith("//")):
        yield from _options(command.params, before, current)
        if command.takes_paths and current.startswith("/"):
            yield FILES, ""
    else:
        place = len(words)
        arguments = [parameter for parameter in command.params if isinstance(parameter, Argument)]
        # The last argument of a verb may be many words.
        found = arguments[place] if place < len(arguments) else arguments[-1] if arguments else None
        if found is not None and (place < len(arguments) or found.many):
            yield from _values(context, found, current)


def _without_last_value(before: Sequence[str], params: Sequence[Parameter]) -> list[str]:
    # An option whose value is being typed is not there yet, as far as finding the verb goes.
    return list(before[:-1]) if _waiting_for_value(before, params) is not None else list(before)


def _waiting_for_value(before: Sequence[str], params: Sequence[Parameter]) -> Option | None:
    """The option whose value comes next (`--client`, `-S`); NET's switches carry theirs with them."""
    if not before or not before[-1].startswith("-") or "=" in before[-1]:
        return None
    for option in params:
        if isinstance(option, Option) and not option.is_flag and before[-1] in option.opts:
            return option
    return None


def _options(params: Sequence[Parameter], before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    """The options in the dialect in which one was begun, or the value behind the colon."""
    if current[:1] not in ("-", "/"):
        return
    options = [parameter for parameter in params if isinstance(parameter, Option)]
    slash = current.startswith("/")
    name, mark, value = current.partition(":" if slash else "=")
    if mark:
        spelling = f"--{name.lstrip('-/').casefold()}"
        for option in options:
            if spelling in option.opts:
                found = _values(Context(), option, value)
                yield from ((f"{name}{mark}{word}", about) for word, about in found if word != FILES)
        return
    upper = current.upper() == current
    for option in options:
        for spelling in (spelling[2:] for spelling in option.opts if spelling.startswith("--")):
            if slash and not isinstance(option, NetOption):
                continue
            shown = f"/{spelling.upper() if upper else spelling}" if slash else f"--{spelling}"
            if slash and not option.is_flag:
                shown += ":"
            if shown.casefold().startswith(current.casefold()) and shown not in before:
                yield shown, option.help


def _values(context: Context, parameter: Parameter, current: str) -> Iterator[tuple[str, str]]:
    """What may stand as the value of an option or argument, as its completer says."""
    for item in parameter.candidates(context, current):
        if item.is_file:
            yield FILES, ""
        else:
            yield item.value, item.help
