"""The NET dialect and the GNU one, made into one.

    session \\\\pc7 /del /y      session pc7 --delete --yes      SESSION /Y //pc7 /D      all mean the same

Rules:

  - A switch is `/NAME` or `/NAME:value`, in any case, or `--name`, `--name=value`, `--name value`, `-n`; either form
    may be shortened while that is unambiguous, and may stand anywhere. A name in full is never ambiguous. A switch that
    `gives_way` takes no shortened form from another: what was short for one before it came still is.
  - NET's own switches of a verb come before the options that NET does not have: `file 7 /c` closes, although
    `--client` and `--csv` begin with the same letter.
  - What has a second slash is a path, and `//name` a computer: `/srv/data` and `//pc7` are no switches. A verb that
    takes folders takes `/srv` as one, unless a switch has exactly that name.
  - What stands behind an option that wants a value is that value, whatever it looks like. After `--`, nothing is a
    switch.

The result is the one form that the parser underneath is given: `--name=value` and `--name`, then `--`, then the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Final

from lanman import codes
from lanman.plain import dataclass

_SWITCH: Final = re.compile(r"/(\?|[A-Za-z][A-Za-z0-9_-]*)(?:[:=](.*))?\Z", re.DOTALL)
# Few commands get as far as a computer's name: compiled when it is needed, since that takes time.
_NOT_IN_A_COMPUTER_NAME: Final = r'[\s\x00-\x1f\x7f\\/"<>|*?,;=+]'
_LONGEST_COMPUTER_NAME: Final = 255


class DialectError(Exception):
    """The line cannot be understood. `message_id` is NET's message, `insertion` its %1, `hint` what could be typed."""

    def __init__(self, message_id: int, insertion: str = "", hint: str | None = None) -> None:
        super().__init__(codes.message_text(message_id, insertion))
        self.message_id = message_id
        self.insertion = insertion
        self.hint = hint

    def lines(self) -> list[str]:
        """What is said of it, without the hint and the syntax."""
        return [str(self), ""]

    def more_help(self) -> list[str]:
        """The line that names NET's explanation."""
        return [codes.message_text(3514, self.message_id), ""]


class UnknownVerb(DialectError):
    """The first word is no verb. NET has no message that says so: it shows its own verbs."""

    def __init__(self, verb: str, hint: str) -> None:
        super().__init__(3506, verb, hint)

    def lines(self) -> list[str]:
        """That the verb is unknown, in words of our own."""
        return [f"The verb {self.insertion} is unknown.", ""]

    def more_help(self) -> list[str]:
        """Nothing: no message of NET's explains it."""
        return []


@dataclass(frozen=True, slots=True)
class Switch:
    """One option: its long names, the one that results first; its letters; whether NET has it too (`net`), and whether
    its shortened forms are only those that no other switch has (`gives_way`)."""

    names: tuple[str, ...]
    short: tuple[str, ...] = ()
    takes_value: bool = False
    net: bool = False
    gives_way: bool = False


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a verb understands. With `takes_paths`, `/word` is a folder unless a switch is called exactly that."""

    switches: Sequence[Switch]
    takes_paths: bool = False


@dataclass(slots=True)
class Line:
    """A command line in its one form."""

    options: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)

    def argv(self) -> list[str]:
        """The words for the parser underneath."""
        return [*self.options, "--", *self.arguments]


def normalise(words: Sequence[str], grammar: Grammar) -> Line:
    """The one form of `words`. Raises DialectError for what is unknown, ambiguous, or lacks its value."""
    line = Line()
    for switch, value, word in _read(words, grammar):
        if switch is None:
            line.arguments.append(word)
        elif value is None:
            line.options.append(f"--{switch.names[0]}")
        else:
            line.options.append(f"--{switch.names[0]}={value}")
    return line


def split_verb(words: Sequence[str], grammar: Grammar) -> tuple[str | None, list[str]]:
    """The verb, and all other words in their order. `grammar` is that of the options that every verb has.

    NET's switches of the verb may stand before it too; they are left for `normalise`, which knows the verb.
    """
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":
            break
        if _SWITCH.match(word):
            position += 1
        elif word.startswith("-") and len(word) > 1:
            following = iter(words[position + 1 : position + 2])
            marks = [mark for _, _, mark in _dashed(word, grammar, following)]
            position += 2 if marks[-1] is _TWO_WORDS else 1
        else:
            return word, [*words[:position], *words[position + 1 :]]
    return None, list(words)


def computer_name(word: str) -> str:
    """The bare name in `\\\\pc7`, `\\pc7`, `//pc7`, `pc7`, `\\\\[::1]`. Raises DialectError 3870 for what is none."""
    bare = re.sub(r"\A(\\{1,2}|//)", "", word)
    if not bare or len(bare) > _LONGEST_COMPUTER_NAME or re.search(_NOT_IN_A_COMPUTER_NAME, bare):
        raise DialectError(3870, word, r"A client is written \\NAME or \\ADDRESS, as `lanman session` lists it.")
    return bare


# Marks in the third place of what _read() yields that an option took the following word as its value.
_TWO_WORDS: Final = "<two words>"
_ONE_WORD: Final = "<one word>"


def _read(words: Sequence[str], grammar: Grammar) -> Iterator[tuple[Switch | None, str | None, str]]:
    """Each option as (switch, value, mark), each other word as (None, None, word)."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from ((None, None, other) for other in rest)
            return
        if word.startswith("-") and len(word) > 1:
            yield from _dashed(word, grammar, rest)
        elif (match := _SWITCH.match(word)) and (found := _net(word, match, grammar)):
            if found.takes_value != (match[2] is not None):
                name = re.split("[:=]", word, maxsplit=1)[0]
                hint = f"It wants a value: {name}:VALUE." if found.takes_value else "It takes no value."
                raise DialectError(3952, name, hint)
            yield found, match[2], _ONE_WORD
        else:
            yield None, None, word


def _dashed(word: str, grammar: Grammar, rest: Iterator[str]) -> Iterator[tuple[Switch, str | None, str]]:
    """What one word of the GNU form holds: `--name`, or one letter or more; its value may be the next of `rest`."""
    if word.startswith("--"):
        name, equals, attached = word[2:].partition("=")
        yield _with_value(word, _long(word, name, grammar), attached if equals else None, rest)
    else:
        yield from _short(word, grammar, rest)


def _with_value(word: str, switch: Switch, attached: str | None, rest: Iterator[str]) -> tuple[Switch, str | None, str]:
    if switch.takes_value:
        if attached is not None:
            return switch, attached, _ONE_WORD
        value = next(rest, None)
        if value is None:
            raise DialectError(3952, word, f"It wants a value: {word} VALUE.")
        return switch, value, _TWO_WORDS
    if attached is not None:
        raise DialectError(3952, word.partition("=")[0], "It takes no value.")
    return switch, None, _ONE_WORD


def _short(word: str, grammar: Grammar, rest: Iterator[str]) -> Iterator[tuple[Switch, str | None, str]]:
    """`-k`, `-kN`, `-S host`, `-Shost`, `-kS host`."""
    letters = word[1:]
    for position, letter in enumerate(letters):
        switch = next((switch for switch in grammar.switches if letter in switch.short), None)
        if switch is None:
            raise DialectError(3506, word if position == 0 else f"-{letter}")
        if switch.takes_value:
            yield _with_value(f"-{letter}", switch, letters[position + 1 :] or None, rest)
            return
        yield switch, None, _ONE_WORD


def _long(word: str, name: str, grammar: Grammar) -> Switch:
    found = _matching(name, grammar.switches)
    if not found:
        raise DialectError(3506, word.partition("=")[0])
    return _only(word.partition("=")[0], found, "--")


def _net(word: str, match: re.Match[str], grammar: Grammar) -> Switch | None:
    """The switch that `/name` is; None for a folder. NET's own switches come first, then all others."""
    name = match[1].casefold()
    typed = f"/{match[1]}"
    for candidates in ([switch for switch in grammar.switches if switch.net], grammar.switches):
        found = _matching(name, candidates)
        if found and (not grammar.takes_paths or name in found[0].names):
            return _only(typed, found, "/")
    if grammar.takes_paths:
        return None
    raise DialectError(3506, typed)


def _matching(name: str, switches: Sequence[Switch]) -> list[Switch]:
    """The switches that `name` may mean: the one that has it as a full name, or all that begin with it."""
    if exact := [switch for switch in switches if name in switch.names]:
        return exact
    begun = [switch for switch in switches if any(full.startswith(name) for full in switch.names) and name]
    return [switch for switch in begun if not switch.gives_way] or begun


def _only(typed: str, found: list[Switch], prefix: str) -> Switch:
    if len(found) > 1:
        choices = [f"{prefix}{switch.names[0]}" for switch in found]
        meant = ", ".join(choice.upper() if prefix == "/" else choice for choice in choices)
        raise DialectError(3507, typed, f"It may mean {meant}.")
    return found[0]
