"""Whom credentials would log on: what a kept connection is kept under, and what a client is called by others."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from importlib.util import find_spec
from operator import attrgetter
from typing import Final

from lanman.net.credentials import Credentials

_ON_WINDOWS: Final = sys.platform == "win32"

# What the kernel and the Kerberos library go by besides what they are told.
_KERBEROS_VARIABLES: Final = ("KRB5CCNAME", "KRB5_CLIENT_KTNAME", "KRB5_CONFIG", "KRB5_KTNAME")
_SALT: Final = os.urandom(16)
_fields: Final = attrgetter(*(field.name for field in dataclasses.fields(Credentials) if field.init))


def identity_of(credentials: Credentials | None, *, look: bool = True) -> bytes:
    """Who would be logged on by these credentials now, in 16 bytes that reveal no secret: what is kept for reuse is
    kept under it. None leaves it to the kernel.

    That is all of the credentials, this process's user and, where a ticket cache says who, the principal that it has
    tickets of. For that the cache is read, unless `look` is false.
    """
    parts: list[object] = [credentials and _fields(credentials)]
    if hasattr(os, "getuid"):
        parts += [os.getuid(), os.geteuid()]
    if credentials is not None and credentials.kerberos:
        parts += [os.environ.get(name) for name in _KERBEROS_VARIABLES]
        if look and not credentials.user_name and not _ON_WINDOWS and find_spec("gssapi") is not None:
            from lanman.net.kerberos import principal_of

            parts.append(principal_of(credentials))
    return hashlib.blake2b(repr(parts).encode(), key=_SALT, digest_size=16).digest()


def own_name(credentials: Credentials) -> tuple[str, str]:
    """The user that these credentials log on, and the domain as far as it is known: ("ann", "EXAMPLE").

    Where they name no user, the ticket cache does, or Windows; ("", "") for a null session, and where it is not known.
    """
    name = credentials.user_name
    if credentials.kerberos and not name and _ON_WINDOWS:
        # Windows logs on the user whom this process runs as; so it names that user to every process.
        return os.environ.get("USERNAME", ""), credentials.domain or os.environ.get("USERDOMAIN", "")
    if credentials.kerberos and not name:
        from lanman.net.kerberos import principal_of

        name = principal_of(credentials)
    name, _, realm = name.partition("@")
    return name, credentials.domain or realm
