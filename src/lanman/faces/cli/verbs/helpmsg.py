"""`lanman helpmsg`: what an error code means, and what helps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lanman import codes
from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument
from lanman.faces.dialect import DialectError

# What to know and what to do about the codes that session and file management ends in; NET has such paragraphs for its
# own codes. These are ours, since what helps here is not what helped on LAN Manager.
EXPLANATIONS: Final = {
    5: (
        "The server knows who you are and does not let you do this.",
        "Listing and ending sessions and files takes a member of Administrators or Server Operators there. On Windows,"
        " a local account other than Administrator loses its rights over the network (LocalAccountTokenFilterPolicy)."
        " On Samba, map the group: net groupmap add sid=S-1-5-32-544 unixgroup=GROUP type=builtin. To end sessions,"
        " Samba wants `admin users =` in [IPC$] as well.",
    ),
    53: (
        "No server answered at that name and port.",
        "Check the name, give the address in its place, and see that port 445 is not filtered on the way.",
    ),
    64: (
        "The connection to the server ended.",
        "If somebody ended your session there, connect again.",
    ),
    1244: (
        "Nothing that proves who you are was at hand, so nobody was asked to believe it: no password was sent.",
        "Give the password in a file with -A, in LANMAN_PASSWORD or on a terminal; with -k, get a ticket with kinit.",
    ),
    1326: (
        "The server does not know this user, or the password is another one.",
        r"Check both. A user of a domain is written DOMAIN\USER.",
    ),
    2114: (
        "No Server service runs on this machine.",
        "Start one with `lanman start server`, or name another machine with -S.",
    ),
    2221: (
        "There is no user of that name.",
        "`lanman user` lists the accounts of this user's Server.",
    ),
    2310: (
        "The server has no share of that name.",
        "`lanman share` lists the shares, hidden ones included.",
    ),
    2312: (
        "The client that you named has no session with the server: it never connected, or has left by now.",
        "`lanman session` lists the clients as the server knows them. Many servers list addresses in place of names.",
    ),
    2314: (
        "No file with this number is open. It may have been closed by now, and numbers are given anew after a restart.",
        "`lanman file` lists what is open, and under which numbers.",
    ),
    2351: (
        "What was given cannot be the name of a computer.",
        r"A client is written \\NAME or \\ADDRESS.",
    ),
}


def message_number(text: str) -> int:
    """A code in decimal or, with 0x before it, in hexadecimal. Raises DialectError 3953."""
    folded = text.strip().casefold()
    try:
        if folded.startswith("0x"):
            value = int(folded, 16)
        elif folded.isascii() and folded.isdigit():
            value = int(folded)
        else:
            raise ValueError(text)
    except ValueError:
        raise DialectError(3953, hint=f"{text} is not the number of a message: 5, 2312 or 0xC0000022 are.") from None
    return value


def describe(number: int, *, as_status: bool) -> tuple[str, str] | None:
    """Name and text of a code; None for one without. `as_status`: an NTSTATUS rather than a Win32 code."""
    if as_status and codes.has_ntstatus_text(number):
        return codes.ntstatus_name(number), codes.ntstatus_text(number)
    if codes.has_win32_text(number):
        return codes.win32_name(number), codes.win32_text(number)
    if codes.has_message_text(number):
        return str(number), codes.message_text(number)
    if codes.has_ntstatus_text(number):
        return codes.ntstatus_name(number), codes.ntstatus_text(number)
    return None


@verb(
    "helpmsg",
    summary="explain an error by its number",
    syntax="lanman helpmsg NUMBER",
    about="Explains an error: a Win32 code, one of NET's own, or an NTSTATUS (in hexadecimal: 0xC0000203).",
    examples="""
lanman helpmsg 2312
lanman helpmsg 0xC0000022
""",
)
@argument("number")
def helpmsg(invocation: Invocation, number: str) -> int | None:
    """Print a code's text and, where there is one, its explanation. The exit status is 2 for an unknown code."""
    value = message_number(number)
    # 0x00000103 with all its digits is a status; 0x103 and 259 are the Win32 code of that number.
    as_status = value >= 0x40000000 or (len(number.strip()) == 10 and number.strip()[:2].casefold() == "0x")
    found = describe(value, as_status=as_status)
    if found is None:
        output.complain([codes.message_text(3871, number), "", codes.message_text(3514, 3871), ""])
        return output.EXIT_ERROR
    name, text = found
    explained = None if as_status else EXPLANATIONS.get(value)
    if invocation.format is Format.TABLE:
        output.emit(message_lines(text, explained))
    else:
        record = {"code": value, "name": name, "text": text}
        if invocation.format is Format.JSON:
            output.emit_json(None, message=record)
        else:
            output.emit_csv([record], list(record))
    return None


def message_lines(text: str, explained: tuple[str, str] | None) -> Iterator[str]:
    """The text of a code, wrapped at 79 columns, and NET's two paragraphs: the explanation, and what to do."""
    import textwrap

    yield ""
    yield from textwrap.wrap(text, 79)
    yield ""
    for heading, paragraph in zip(("EXPLANATION", "ACTION"), explained or (), strict=False):
        yield heading
        yield ""
        yield from textwrap.wrap(paragraph, 79, break_on_hyphens=False)
        yield ""
