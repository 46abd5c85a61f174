"""Which server answers, by whatever address: two addresses of one server are one node.

What counts is the ServerGuid of NEGOTIATE (MS-SMB2 2.2.4), which all addresses of a server have in common. smbd's is a
name that people choose, and a server that is not reached over SMB tells none: so where two are equal, or both are not
told, the name of NetrServerGetInfo decides.
"""

from __future__ import annotations

from lanman.errors import LanmanError
from lanman.manage.manager import Manager
from lanman.names import fold


def guid_of(manager: Manager) -> bytes | None:
    """The ServerGuid; None where none was told."""
    facts = manager.server_facts
    return None if facts is None else facts.server_guid


async def name_of(manager: Manager) -> str | None:
    """What a server calls itself, letter case folded; None where it does not say."""
    try:
        name = (await manager.server_info(100)).name
    except LanmanError:
        return None
    return None if name is None else fold(name)
