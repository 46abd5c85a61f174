"""What smbstatus cannot say in JSON, taken from its tables.

- With `unix charset = ISO8859-1` and the like names have bytes that JSON has no text for. smbstatus leaves such an
  entry out, complains on standard error, and succeeds. Its tables print the bytes.
- From 4.17 to 4.23 (seen on 4.17.12) its JSON of open files crashes while anybody has a file open for WRITE_OWNER, as
  with GENERIC_ALL. Its JSON of sessions and of tree connects does not, and its tables do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lanman.manage.samba_local.status import ServerId, Status, StatusOpen

_COMPLAINT: Final = re.compile(r"Unable to add (?:string|object|value)[^\n]*?\[(\w+)\]")
_ESCAPED: Final = re.compile("[\udc80-\udcff]")


def complaints(messages: str) -> list[str]:
    """The names of the members that smbstatus could not write: `filename`, `username`, ..."""
    return _COMPLAINT.findall(messages)


def completed(told: Status, complained: list[str], text: Status) -> Status:
    """`told` by JSON, with the entries of `text` that JSON has no text for; what even that lacks is counted."""
    same = _processes_of(told)
    sessions = [
        replace(one, server_id=same(one.server_id))
        for one in text.sessions
        if _ESCAPED.search((one.user_name or "") + one.client + one.group)
    ]
    trees = [
        replace(one, server_id=same(one.server_id)) for one in text.trees if _ESCAPED.search(one.service + one.machine)
    ]
    opens = [_without_id(one, same(one.server_id)) for one in text.opens if _ESCAPED.search(one.path)]
    # Most rows that the tables leave out are in JSON: what matters is who was complained about and is in neither.
    left_out = max(complained.count("filename") - len(opens), 0)
    return replace(
        told,
        sessions=(*told.sessions, *sessions),
        trees=(*told.trees, *trees),
        opens=(*told.opens, *opens),
        left_out=left_out,
        left_out_of=None if left_out else frozenset(),
    ).joined()


def with_opens(told: Status, text: Status) -> Status:
    """`told` by JSON without its open files, with those of `text`."""
    same = _processes_of(told)
    return replace(
        told,
        opens=tuple(_without_id(one, same(one.server_id)) for one in text.opens),
        locks=None,
        left_out=text.left_out,
        left_out_of=None if text.left_out_of is None else frozenset(map(same, text.left_out_of)),
    ).joined()


def _processes_of(told: Status) -> Callable[[ServerId], ServerId]:
    """The process that a table means by its number alone, as JSON told of it."""
    ids: dict[tuple[int, int], ServerId] = {}
    for table in (told.sessions, told.trees, told.opens):
        for one in table:
            ids.setdefault((one.server_id.node, one.server_id.pid), one.server_id)
    return lambda process: ids.get((process.node, process.pid), process)


def _without_id(open: StatusOpen, process: ServerId) -> StatusOpen:
    return replace(open, server_id=process, share_file_id=None)
