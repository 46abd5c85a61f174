"""A CREATE that its client sends once more (MS-SMB2 3.3.5.9, 3.3.5.9.10): it has lost the connection that the answer
was to come by, and does not know whether it has the file open.

The rules:

* A client gives a CREATE with SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2 a CreateGuid, by which the open is known, durable
  or not, until anything is asked of it (`ServerOpen.replay_eligible`): then its client has had the answer.
* While a CREATE is under way, another one by its CreateGuid is told STATUS_FILE_NOT_AVAILABLE, and its client asks
  again. So the first must not be forgotten when its connection is lost: it goes on alone while other connections of its
  session are there (`Context.survives`).
* Afterwards it is the same open that answers, in the same session and to the same user, with the access, share mode and
  name that it has, whatever is asked for. What it may cache is told as it is, but no more of an oplock than is asked
  for. What does not say that it is a repetition has taken another's CreateGuid: STATUS_DUPLICATE_OBJECTID.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from lanman import codes
from lanman.dtyp import DELETE
from lanman.server.files.access import READING, WRITING
from lanman.server.files.leases import Lease, LeaseRequest
from lanman.server.state import ServerSession, ServerTree


class RepeatedOpen(Protocol):
    """The open that a CREATE has made."""

    session: ServerSession | None
    tree: ServerTree
    lease: Lease | None
    directory: bool
    access: int


def is_replay_eligible(opened: RepeatedOpen) -> bool:
    """Whether it may be found again by its CreateGuid, as long as nothing is asked of it (3.3.5.9.10)."""
    return not opened.directory and bool(opened.access & (READING | WRITING | DELETE))


class Repetition(NamedTuple):
    """A CREATE by the CreateGuid of an open: what it asks for of a lease, its session and its tree connect. `flagged`:
    it says that it is sent again (SMB2_FLAGS_REPLAY_OPERATION)."""

    flagged: bool
    lease: LeaseRequest | None
    session: ServerSession
    tree: ServerTree


def refusal_of_repetition(opened: RepeatedOpen, by: Repetition) -> int:
    """Why a CREATE is not answered by the open that is known by its CreateGuid; 0 if it is."""
    if not by.flagged:
        return codes.STATUS_DUPLICATE_OBJECTID
    if opened.session is not None and not opened.session.is_of_user_of(by.session):
        return codes.STATUS_ACCESS_DENIED
    if (opened.lease.key if opened.lease is not None else None) != (by.lease.key if by.lease is not None else None):
        return codes.STATUS_ACCESS_DENIED
    # An orphan is reclaimed, and not repeated; and a FileId counts on its own tree connect alone.
    if opened.session is not by.session or opened.tree is not by.tree:
        return codes.STATUS_DUPLICATE_OBJECTID
    return codes.STATUS_SUCCESS
