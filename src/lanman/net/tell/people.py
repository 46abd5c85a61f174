"""Who is told, what, and what became of it."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, Protocol

from lanman.client_settings import Mail, is_address, makes_address
from lanman.names import fold
from lanman.plain import dataclass
from lanman.shown import escape

MAX_FILES: Final = 20
"""How many of a person's open files are named to that person."""


class Told(Enum):
    """Whether somebody was told: it was handed over to who delivers it, it was not, or that cannot be known. YES does
    not say that it was read."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Person:
    """Who is told: the user as the server lists it, from which clients, and what is open, as far as that is known."""

    user_name: str
    clients: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told about `server`: a line above it, and the text."""

    server: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class WayOutcome:
    """What became of one way: "mail", "webhook" or "command". `reason` is a sentence, "" for YES."""

    way: str
    told: Told
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """What became of telling one person, by all ways. One that worked is enough."""

    person: Person
    ways: tuple[WayOutcome, ...]

    @property
    def told(self) -> Told:
        """YES where any way was; else UNKNOWN where any is."""
        found = {each.told for each in self.ways}
        return next((each for each in (Told.YES, Told.UNKNOWN) if each in found), Told.NO)

    @property
    def reason(self) -> str:
        """Why it is not YES, and by which way where there are several; "" for YES."""
        if self.told is Told.YES:
            return ""
        if len(self.ways) == 1:
            return self.ways[0].reason
        return "; ".join(f"{each.way}: {each.reason}" for each in self.ways) or "there is no way to tell anybody"


class NotTold(Exception):
    """A way did not tell somebody. `told` is NO or UNKNOWN; `for_all`: it would not tell anybody else either; `silent`:
    there was no answer in time."""

    def __init__(self, reason: str, *, told: Told = Told.NO, for_all: bool = False, silent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.told = told
        self.for_all = for_all
        self.silent = silent


def no_answer(seconds: float, told: Told, who: str = "") -> NotTold:
    """The NotTold of a deadline; `who` is the beginning of a sentence about it."""
    return NotTold(f"{who}there was no answer within {seconds:g} seconds", told=told, silent=True)


class Way(Protocol):
    """One way of telling people. `name` is that of its section in lanman.toml."""

    name: str

    async def tell(self, person: Person, message: Message) -> None:
        """Tell one person, within the way's own deadline. Raises NotTold."""


def without_domain(user: str) -> str:
    r"""A user's name as `{user}` of an address has it: `bob` of `EXAMPLE\bob`, `bob` and `bob@EXAMPLE.COM`."""
    return user.rpartition("\\")[2].partition("@")[0]


def address_of(mail: Mail, user: str) -> str:
    """The address of a user, "" where none is known. A user's name comes from a peer: one that cannot be part of an
    address makes none."""
    known = {fold(name): address for name, address in mail.addresses.items()}
    for name in (user, without_domain(user)):
        if (found := known.get(fold(name))) is not None:
            return found
    bare = without_domain(user)
    made = mail.address.replace("{user}", bare) if mail.address and makes_address(bare) else ""
    return made if is_address(made) else ""


def body_for(person: Person, message: Message) -> str:
    """The whole of what one person is told: the text, and what that person has open."""
    lines = [escape(line) for line in message.text.split("\n")]
    if person.files:
        lines += ["", f"You have open on {escape(message.server)}:", ""]
        lines += [f"    {escape(path)}" for path in person.files[:MAX_FILES]]
        if (more := len(person.files) - MAX_FILES) > 0:
            lines.append(f"    and {more} more")
    return "\n".join(lines)


def one_line(text: str, most: int = 200) -> str:
    """What a server or a program has said, as a part of a sentence: one line, escaped, not too long."""
    line = escape(" ".join(re.split(r"[\r\n\t ]+", text.strip())))
    return line if len(line) <= most else f"{line[: most - 3]}..."
