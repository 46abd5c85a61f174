"""Telling people by a program: its words as they are configured, no shell, a deadline, bounded output."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from lanman.client_settings import Command
from lanman.errors import MalformedMessage, Win32Error
from lanman.net.tell.people import Message, NotTold, Person, Told, no_answer, one_line
from lanman.net.tool import run_tool

MAX_OUTPUT: Final = 1 << 20


class CommandWay:
    """[command] of lanman.toml."""

    name = "command"

    def __init__(self, settings: Command) -> None:
        self._settings = settings

    async def tell(self, person: Person, message: Message) -> None:
        """Run the program for one person. Raises NotTold."""
        values = {
            "user": person.user_name,
            "message": message.text,
            "server": message.server,
            "clients": " ".join(person.clients),
        }
        if any("\0" in value for value in values.values()):
            raise NotTold("a name with a NUL cannot be given to a program")
        program, *words = self._settings.argv
        words = [_filled(word, values) for word in words]
        environment = {f"LANMAN_{name.upper()}": value for name, value in values.items()}
        try:
            async with asyncio.timeout(self._settings.deadline):
                finished = await run_tool(Path(program), *words, max_output=MAX_OUTPUT, environment=environment)
        except TimeoutError:
            raise no_answer(self._settings.deadline, Told.UNKNOWN, f"{program} was ended: ") from None
        except MalformedMessage:
            raise NotTold(f"{program} was ended: it writes too much", told=Told.UNKNOWN) from None
        except UnicodeEncodeError:
            raise NotTold("a name with half a character cannot be given to a program") from None
        except Win32Error as error:
            raise NotTold(error.text, for_all=True) from None
        if finished.status:
            last = finished.messages.strip().rpartition("\n")[2]
            said = f": {one_line(last)}" if last else ""
            raise NotTold(f"{program} ended with status {finished.status}{said}")


def _filled(word: str, values: dict[str, str]) -> str:
    """A configured word with what its braces stand for, in one pass: what is put in is not looked at again. Raises
    NotTold where a peer's words would begin it with a dash."""
    filled = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), word)
    if filled.startswith("-") and not word.startswith("-"):
        raise NotTold("its name begins with a dash, and a program could take that for an option")
    return filled
