"""What a verb takes: its options and arguments, and how their values come of a command line.

Rules:

  - The dialect (`lanman.faces.dialect`) has read the line: it knows every option, and what stands behind it. What is
    still found here is a missing or a superfluous argument.
  - An option that is given twice has its last value, one that may be repeated (`multiple`) a tuple of all. What is not
    given is None, a flag False, an empty tuple, or the default.
  - Values are checked in the order in which options were typed, then arguments, then what was not given; a `callback`
    sees every value, and gives what the verb gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from lanman.faces.dialect import DialectError, Line
from lanman.plain import dataclass

F = TypeVar("F", bound=Callable[..., Any])

_DECLARED: Final = "__lanman_parameters__"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that may stand where somebody presses TAB, and what it means. `is_file`: the shell is to complete the
    names of files."""

    value: str
    help: str = ""
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What a completer may ask: the Program that completes, and the arguments that stand before."""

    program: Any = None
    words: Sequence[str] = ()


Completer = Callable[[Context, str], list[Candidate]]


class Parameter:
    """An option or an argument. `name` is that of the value, `opts` are the option's spellings."""

    nothing: Any = None
    """The value where nothing was given."""

    def __init__(
        self,
        name: str,
        opts: tuple[str, ...],
        callback: Callable[[Any, Any], Any] | None = None,
        shell_complete: Completer | None = None,
    ) -> None:
        self.name = name
        self.opts = opts
        self._callback = callback
        self._shell_complete = shell_complete

    def checked(self, value: Any) -> Any:
        """The value that the verb gets. Raises DialectError."""
        return value if self._callback is None else self._callback(self, value)

    def candidates(self, context: Context, begun: str) -> list[Candidate]:
        """What may stand as its value and begins so."""
        return [] if self._shell_complete is None else self._shell_complete(context, begun)


class Option(Parameter):
    """`--name`, and its other spellings; a name that has no dash is that of the value. It takes one value, which the
    help calls `metavar`, or as a flag none."""

    def __init__(
        self,
        *names: str,
        help: str = "",
        metavar: str = "",
        is_flag: bool = False,
        multiple: bool = False,
        default: str | None = None,
        **attributes: Any,
    ) -> None:
        opts = tuple(name for name in names if name.startswith("-"))
        long = [name[2:].replace("-", "_") for name in opts if name.startswith("--")]
        super().__init__(next((name for name in names if name not in opts), long[0]), opts, **attributes)
        self.help = help
        self.metavar = metavar
        self.is_flag = is_flag
        self.multiple = multiple
        self.nothing = False if is_flag else () if multiple else default

    def help_record(self) -> tuple[str, str]:
        """How the option is written, and what it does: `-S, --server HOST`."""
        spelt = ", ".join(sorted(self.opts, key=lambda name: name.startswith("--")))
        return spelt if self.is_flag else f"{spelt} {self.metavar}", self.help


class Argument(Parameter):
    """A word without a dash. `many`: all words from here on, which may be none."""

    def __init__(self, name: str, *, required: bool = True, many: bool = False, **attributes: Any) -> None:
        super().__init__(name, (), **attributes)
        self.required = required and not many
        self.many = many
        self.nothing = () if many else None

    def checked(self, value: Any) -> Any:
        """The value that the verb gets. Raises DialectError."""
        if value is None and self.required:
            raise DialectError(3503, hint=f"Missing argument '{self.name.upper()}'.")
        return super().checked(value)


def option(*names: str, cls: type[Option] = Option, **attributes: Any) -> Callable[[F], F]:
    """Declare an option of a verb; see `Option`."""
    return _declaring(cls(*names, **attributes))


def argument(name: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an argument of a verb; see `Argument`."""
    return _declaring(Argument(name, **attributes))


def _declaring(parameter: Parameter) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        # What stands lowest is declared first.
        setattr(function, _DECLARED, [parameter, *declared(function)])
        return function

    return decorate


def declared(function: Callable[..., Any]) -> list[Parameter]:
    """What `option` and `argument` have declared of a function, from above."""
    return list(getattr(function, _DECLARED, ()))


def values(parameters: Sequence[Parameter], line: Line) -> dict[str, Any]:
    """The value of each parameter. Raises DialectError: 3503 for too few or too many arguments, else what a check
    finds."""
    typed = _typed_options(parameters, line)
    words = list(line.arguments)
    for parameter in parameters:
        if isinstance(parameter, Argument):
            taken = len(words) if parameter.many else 1
            given, words = words[:taken], words[taken:]
            typed[parameter] = tuple(given) if parameter.many else given[0] if given else None
    typed |= {parameter: parameter.nothing for parameter in parameters if parameter not in typed}
    found = {parameter.name: parameter.checked(value) for parameter, value in typed.items()}
    if words:
        raise DialectError(3503, hint=f"Got unexpected extra argument{'s' if words[1:] else ''} ({' '.join(words)})")
    return found


def _typed_options(parameters: Sequence[Parameter], line: Line) -> dict[Parameter, Any]:
    spelt = {name: parameter for parameter in parameters for name in parameter.opts}
    typed: dict[Parameter, Any] = {}
    for word in line.options:
        name, _, value = word.partition("=")
        option = spelt[name]
        assert isinstance(option, Option)
        if option.multiple:
            typed[option] = (*typed.get(option, ()), value)
        else:
            typed[option] = option.is_flag or value
    return typed
