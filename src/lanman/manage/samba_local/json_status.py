"""smbstatus --json, since Samba 4.17: any bytes give a Status, or a MalformedMessage that says what is wrong.

Rules:

  - Ids are strings in it. Numbers were cut to 31 bits and a sign until 4.19: a uid that is negative is unknown.
  - What later versions add is read where it is there (channels and beginnings since 4.20) and is None where it is not.
  - A session without a user and without a uid is a log-on under way, and no session yet.
  - What has bytes that are no UTF-8 is left out of it, with a complaint on standard error: see `complete`.
  - A caller who is not root is given an object without any table: `DENIED` in the words of this module.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from lanman.errors import MalformedMessage
from lanman.manage.samba_local.status import (
    MAX_ENTRIES,
    MAX_OUTPUT,
    Channel,
    Protection,
    ServerId,
    Status,
    StatusLock,
    StatusOpen,
    StatusSession,
    StatusTree,
    dialect_name,
    endpoint,
)

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d):?(\d\d))?", re.ASCII
)
_NUMBER: Final = re.compile(r"\d{1,20}", re.ASCII)
_HEX: Final = re.compile(r"0x[0-9A-Fa-f]{1,8}", re.ASCII)
_UNKNOWN_UIDS: Final = (-1, 0xFFFFFFFF)


def parse_json(output: bytes) -> Status | None:
    """What smbstatus told; None where it told nothing but its version, which is how it denies. MalformedMessage."""
    if len(output) > MAX_OUTPUT:
        raise _malformed(f"has more than {MAX_OUTPUT >> 20} MiB")
    try:
        document = json.loads(output.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise _malformed("is not JSON") from error
    top = _object(document, "its top")
    if "sessions" not in top and "tcons" not in top and "open_files" not in top:
        if "version" in top:
            return None
        raise _malformed("has none of its tables")
    locks = tuple(_locks(top)) if "byte_range_locks" in top else None
    configuration = top.get("smb_conf")
    return Status(
        version=_text(top, "version", "its top"),
        configuration=configuration if isinstance(configuration, str) else None,
        at=_time(top.get("timestamp")),
        sessions=tuple(_sessions(top)),
        trees=tuple(_trees(top)),
        opens=tuple(_opens(top)),
        locks=locks,
    ).joined()


def _malformed(what: str) -> MalformedMessage:
    return MalformedMessage(
        f"the output of smbstatus {what}", hint="see what `smbstatus --json` prints, and the version of Samba"
    )


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(f"has no object in {where}")
    if len(value) > MAX_ENTRIES:
        raise _malformed(f"has more than {MAX_ENTRIES:,} entries in {where}")
    return value


def _text(entry: dict[str, Any], name: str, where: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str):
        raise _malformed(f"has no text as {name} in {where}")
    return value


def _identifier(entry: dict[str, Any], name: str, where: str) -> int:
    value = entry.get(name)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise _malformed(f"has no number as {name} in {where}")
    return int(text)


def _integer(entry: dict[str, Any], name: str, where: str) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _malformed(f"has no number as {name} in {where}")
    return value


def _uid(entry: dict[str, Any]) -> int | None:
    value = entry.get("uid")
    known = isinstance(value, int) and not isinstance(value, bool) and value >= 0 and value not in _UNKNOWN_UIDS
    return value if known else None


def _server_id(entry: dict[str, Any], where: str) -> ServerId:
    found = _object(entry.get("server_id"), f"the server_id of {where}")
    numbers = [_identifier(found, name, where) for name in ("pid", "task_id", "vnn", "unique_id")]
    return ServerId(*numbers)


def _protection(entry: dict[str, Any], name: str, where: str) -> Protection:
    if name not in entry:
        return Protection()
    found = _object(entry[name], f"the {name} of {where}")
    cipher = _text(found, "cipher", where)
    return Protection("" if cipher == "-" else cipher, _text(found, "degree", where) or "none")


def _time(value: Any) -> float | None:
    """Seconds since 1970; None for what is no time, or is one beyond the calendar, which stands for no end."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    *whole, fraction, sign, hours, minutes = match.groups()
    try:
        at = datetime(*map(int, whole), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1) if sign else 0
    seconds = at.timestamp() - offset + (int(fraction.ljust(6, "0")) / 1e6 if fraction else 0.0)
    return seconds if math.isfinite(seconds) else None


def _table(top: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in _object(top.get(name, {}), name).items():
        yield key, _object(value, f"an entry of {name}")


def _sessions(top: dict[str, Any]) -> Iterator[StatusSession]:
    for key, entry in _table(top, "sessions"):
        where = "a session"
        user = _text(entry, "username", where)
        if entry.get("uid") in _UNKNOWN_UIDS or (not user and _uid(entry) is None):
            continue
        yield StatusSession(
            server_id=_server_id(entry, where),
            user_name=user or None,
            client=_text(entry, "remote_machine", where),
            address=endpoint(_text(entry, "hostname", where)),
            id=_text(entry, "session_id", where) or key,
            uid=_uid(entry),
            group=_text(entry, "groupname", where),
            dialect=dialect_name(_text(entry, "session_dialect", where)),
            signing=_protection(entry, "signing", where),
            encryption=_protection(entry, "encryption", where),
            begun=_time(entry.get("creation_time")),
            channels=tuple(_channels(entry)),
        )


def _channels(session: dict[str, Any]) -> Iterator[Channel]:
    for key, entry in _table(session, "channels"):
        where = "a channel"
        yield Channel(
            channel_id=_text(entry, "channel_id", where) or key,
            remote_address=endpoint(_text(entry, "remote_address", where)),
            local_address=endpoint(_text(entry, "local_address", where)),
            transport=_text(entry, "transport", where) or None,
            begun=_time(entry.get("creation_time")),
        )


def _trees(top: dict[str, Any]) -> Iterator[StatusTree]:
    for key, entry in _table(top, "tcons"):
        where = "a tree connect"
        yield StatusTree(
            server_id=_server_id(entry, where),
            service=_text(entry, "service", where),
            machine=_text(entry, "machine", where),
            connected_at=_time(entry.get("connected_at")),
            session_id=_text(entry, "session_id", where) or None,
            tree_id=_text(entry, "tcon_id", where) or key,
            signing=_protection(entry, "signing", where),
            encryption=_protection(entry, "encryption", where),
        )


def _opens(top: dict[str, Any]) -> Iterator[StatusOpen]:
    count = 0
    for _, file in _table(top, "open_files"):
        where = "an open file"
        folder, name = _text(file, "service_path", where), _text(file, "filename", where)
        for _, entry in _table(file, "opens"):
            count += 1
            if count > MAX_ENTRIES:
                raise _malformed(f"has more than {MAX_ENTRIES:,} open files")
            mask = _text(_object(entry.get("access_mask", {}), f"the access mask of {where}"), "hex", where)
            if not _HEX.fullmatch(mask):
                raise _malformed(f"has no access mask in {where}")
            yield StatusOpen(
                server_id=_server_id(entry, where),
                uid=_uid(entry),
                share_path=folder,
                name=name,
                access_mask=int(mask, 16),
                share_file_id=_identifier(entry, "share_file_id", where),
                oplock=_text(_object(entry.get("oplock", {}), f"the oplock of {where}"), "text", where),
                opened_at=_time(entry.get("opened_at")),
                lease_key=_lease_key(_object(entry.get("lease", {}), f"the lease of {where}"), where),
            )


def _lease_key(lease: dict[str, Any], where: str) -> str:
    """The key in the order of its bytes, as hexadecimal digits; smbstatus writes it as a GUID."""
    text = _text(lease, "lease_key", where)
    try:
        return uuid.UUID(text).bytes_le.hex() if text else ""
    except ValueError:
        raise _malformed(f"has no lease key in {where}") from None


def _locks(top: dict[str, Any]) -> Iterator[StatusLock]:
    count = 0
    for path, file in _table(top, "byte_range_locks"):
        locks = file.get("locks", [])
        if not isinstance(locks, list):
            raise _malformed("has no list of locks in byte_range_locks")
        for value in locks:
            count += 1
            if count > MAX_ENTRIES:
                raise _malformed(f"has more than {MAX_ENTRIES:,} byte-range locks")
            where = "a byte-range lock"
            entry = _object(value, where)
            yield StatusLock(
                server_id=_server_id(entry, where),
                path=path,
                exclusive=_text(entry, "type", where) == "W",
                start=_integer(entry, "start", where),
                size=_integer(entry, "size", where),
            )
