"""`lanman config server`: how a Server service is set."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from lanman import codes
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import (
    net_option,
    number,
    verb,
    yes_or_no,
)
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument
from lanman.faces.cli.services import emit_parts, is_server_service, show_services
from lanman.faces.configured import Configured, configuration, configuration_form, transport_form
from lanman.faces.dialect import DialectError
from lanman.faces.text import block, escape, yes_no
from lanman.faces.text import number as shown_number
from lanman.manage.answers import Part
from lanman.records import ServerInfo, TransportInfo

CONFIG_WIDTH: Final = 38

UNLIMITED: Final = 0xFFFFFFFF

# MS-SRVS 2.2.2.7: the server runs something else than Windows.
SV_TYPE_SERVER_UNIX: Final = 0x800

MAX_COMMENT: Final = 48


@verb(
    "config",
    summary="show or change the Server service's settings",
    syntax="""
lanman config
lanman config server [/AUTODISCONNECT:n] [/SRVCOMMENT:"text"] [/HIDDEN:{YES | NO}]
""",
    about=r"""
Shows how a Server service is set, or changes it. /AUTODISCONNECT is the number of minutes after which an idle
session without open files is ended: -1 (never) to 65535; 0 ends it within seconds. /SRVCOMMENT is at most 48
characters. /HIDDEN keeps the server out of the lists of servers.
""",
    examples="""
lanman config server                       show the settings
lanman config server /autodisconnect:30    end idle sessions after half an hour
lanman config server /autodisconnect:-1    never end them
lanman config server /hidden:yes           keep out of the lists of servers
""",
)
@argument("service", required=False, shell_complete=completers.server_service)
@net_option(
    "--autodisconnect",
    metavar="n",
    callback=number(-1, 65535, "It is a number of minutes from -1 (never) to 65535."),
    help="minutes after which an idle session is ended; -1 is never",
)
@net_option("--srvcomment", metavar='"text"', help="the server's comment, at most 48 characters")
@net_option(
    "--hidden",
    metavar="YES|NO",
    callback=yes_or_no,
    shell_complete=completers.yes_or_no,
    help="keep the server out of the lists of servers",
)
def config(
    invocation: Invocation, service: str | None, autodisconnect: int | None, srvcomment: str | None, hidden: bool | None
) -> None:
    """Show the settings, or change those that were given; without a service, list what could be named."""
    if not is_server_service(service):
        if (autodisconnect, srvcomment, hidden) != (None, None, None):
            raise DialectError(3953, hint="Name the service: lanman config server ...")
        return show_services(invocation, codes.message_text(4378))
    if srvcomment is not None and (len(srvcomment) > MAX_COMMENT or not srvcomment.isprintable()):
        raise DialectError(3952, "/SRVCOMMENT", f"A comment is at most {MAX_COMMENT} characters on one line.")
    if (autodisconnect, srvcomment, hidden) == (None, None, None):
        return show_configuration(invocation)
    invocation.require_single("config server /...")
    return asyncio.run(_change(invocation, autodisconnect, srvcomment, hidden))


async def _change(invocation: Invocation, autodisconnect: int | None, comment: str | None, hidden: bool | None) -> None:
    async with invocation.manager() as manager:
        if autodisconnect is not None:
            await manager.set_autodisconnect(autodisconnect)
        if comment is not None:
            await manager.set_comment(comment)
        if hidden is not None:
            await manager.set_hidden(hidden)
        server = manager.server
    if invocation.format is Format.TABLE:
        output.success()
    elif invocation.format is Format.JSON:
        changed = {"autodisconnect": autodisconnect, "srvcomment": comment, "hidden": hidden}
        output.emit_json(server, changed={name: value for name, value in changed.items() if value is not None})


def show_configuration(invocation: Invocation) -> None:
    """Print the settings. JSON and CSV leave out what the server did not say, but for the six that NET shows."""
    server, parts = asyncio.run(_configuration(invocation))
    if invocation.format is Format.TABLE:
        for number, (node, (info, transports)) in enumerate(parts):
            output.emit([*([""] if number else []), *configuration_lines(node or server, info, transports)])
        return invocation.success()
    as_json = invocation.format is Format.JSON
    emit_parts(
        invocation,
        server,
        "configuration",
        [
            Part(node, configuration_form(info, transports, with_transports=as_json))
            for node, (info, transports) in parts
        ],
    )


async def _configuration(invocation: Invocation) -> tuple[str, list[Part[Configured]]]:
    async with invocation.manager() as manager:
        return manager.server, (await manager.each(configuration)).parts


def configuration_lines(server: str, info: ServerInfo, transports: Sequence[TransportInfo] | None) -> Iterator[str]:
    """NET CONFIG SERVER. A label whose value is not known shows `-`."""
    name = (info.name or server).lstrip("\\")
    yield from block(
        [
            ("Server Name", f"\\\\{name}"),
            ("Server Comment", "-" if info.comment is None else info.comment),
            ("", ""),
            ("Software version", software(info)),
        ],
        CONFIG_WIDTH,
    )
    yield "Server is active on"
    for transport in transports or ():
        device, address = transport_form(transport).values()
        yield f"        {escape(device)}" + (f" ({escape(address)})" if address else "")
    if not transports:
        yield "        -"
    yield from ("", "")
    yield from block(
        [
            ("Server hidden", yes_no(info.hidden)),
            ("Maximum Logged On Users", limit(info.users)),
            ("Maximum open files per session", limit(info.sessopens)),
            ("", ""),
            ("Idle session time (min)", "Unlimited" if info.disc == -1 else limit(info.disc)),
        ],
        CONFIG_WIDTH,
    )


def software(info: ServerInfo) -> str:
    """What the version members say; the product's name is not among them. MS-SRVS 2.2.4.41: the low four bits."""
    if info.version_major is None:
        return "-"
    version = f"{info.version_major & 0x0F}.{info.version_minor or 0}"
    unix = info.type is not None and info.type & SV_TYPE_SERVER_UNIX
    return f"{version}, not Windows" if unix else f"Windows {version}"


def limit(value: int | None) -> str:
    """A limit as NET shows it: `Unlimited` for 2^32-1, `-` where the server did not say."""
    return "Unlimited" if value == UNLIMITED else shown_number(value)
