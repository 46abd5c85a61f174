"""What a verb takes of a line, beside click: the same declarations, the same words, the same values or refusal.

click is what most Python commands read their words with. Here it is the truth from outside, not a part of the package.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from lanman.faces.cli.loader import every_verb
from lanman.faces.cli.options import Verb
from lanman.faces.cli.parameters import Argument, Option, Parameter, values
from lanman.faces.dialect import DialectError, Line, normalise

click = pytest.importorskip("click")

LINES: Final = 150
"""Of each verb, and nearly all of them differ."""

VALUES: Final = (
    *("", " ", "0", "-1", "7", "65535", "65536", "99999999999999999999", "1e3", "nan", "٣", "²", "90", "5s", "1h30m"),
    *("pc7", r"\\pc7", "//pc7", "/srv", "a=b", "=", "a:b", "--", "-", "-x", "--json", "*", "a b", "\n", "é", "\udcff"),
    *("yes", "no", "N", "on", "fs1,fs2", "[::1]:445", r"D\ann%pw", "server", "SERVER", "list", "2024-01-01", "x" * 300),
)


def as_click_has_it(verb: Verb) -> Any:
    """The verb's declarations as click's own."""

    def checking(parameter: Parameter) -> Callable[..., Any]:
        return lambda context, of, value: parameter.checked(value)

    declared: list[Any] = []
    for each in verb.params:
        if isinstance(each, Option):
            kind = {"is_flag": True} if each.is_flag else {"multiple": each.multiple}
            if each.nothing:
                kind["default"] = each.nothing
            declared.append(click.Option([*each.opts, each.name], callback=checking(each), **kind))
        else:
            assert isinstance(each, Argument)
            nargs = -1 if each.many else 1
            declared.append(click.Argument([each.name], required=each.required, nargs=nargs, callback=checking(each)))
    return click.Command(verb.name, params=declared, add_help_option=False)


def read(verb: Verb, line: Line) -> object:
    """What our reader makes of a line: the values, or what is said of it."""
    try:
        return values(verb.params, line)
    except DialectError as error:
        return error.message_id, error.insertion, error.hint


def read_by_click(command: Any, line: Line) -> object:
    """The same, of click."""
    try:
        return command.make_context(command.name, [*line.options, "--", *line.arguments]).params
    except DialectError as error:
        return error.message_id, error.insertion, error.hint
    except click.UsageError as error:
        return 3503, "", error.format_message()


def lines(verb: Verb, rolls: random.Random) -> Iterator[list[str]]:
    """Words that somebody may type: options of the verb in both dialects, some of them shortened, and other words."""
    options = [each for each in verb.params if isinstance(each, Option)]
    for _ in range(LINES):
        words: list[str] = []
        for _ in range(rolls.choice((0, 1, 1, 2, 3, 4, 6))):
            option, value = rolls.choice(options), rolls.choice(VALUES)
            name = rolls.choice(option.opts)
            if rolls.random() < 0.3:
                words.append(value)
            elif not name.startswith("--"):
                words += [name] if option.is_flag else rolls.choice(([name, value], [name + value]))
            else:
                name = name if rolls.random() < 0.8 else name[: rolls.randint(3, len(name))]
                slash = f"/{name[2:].upper()}"
                if option.is_flag:
                    words.append(rolls.choice((name, slash)))
                else:
                    words += rolls.choice(([name, value], [f"{name}={value}"], [f"{slash}:{value}"]))
        if rolls.random() < 0.1:
            words.insert(rolls.randint(0, len(words)), "--")
        yield words


@pytest.mark.parametrize("verb", every_verb(), ids=lambda verb: verb.name)
def test_values_and_refusals_are_those_of_click(verb: Verb) -> None:
    command = as_click_has_it(verb)
    compared = 0
    for words in lines(verb, random.Random(verb.name)):
        try:
            line = normalise(words, verb.grammar)
        except DialectError:
            continue
        assert read(verb, line) == read_by_click(command, line), words
        compared += 1
    assert compared > LINES / 3
