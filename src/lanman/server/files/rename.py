"""FileRenameInformation (MS-FSA 2.1.5.15.12): a file or directory gets another name, or another folder.

The rules:

* A directory is not moved while anything below it is open: it would be found at its new place only. Clients that keep
  something open for no program (batch oplocks) are asked to close it first, and the request waits for them.
* The folder that takes the new name in is treated as if it were opened for that (FILE_ADD_FILE): an open of it that
  does not share writing prevents the rename.
* What has the new name already is replaced if the request says so and it is neither open nor READONLY. It is looked for
  once more after every wait; the disk judges a last time (RenameFile fails on a directory).
* All opens by the old name follow, and those who watch either folder are told, in the step in which the disk has
  renamed it, even if whoever asked for it is gone by then.
"""

from __future__ import annotations

from typing import Protocol

from lanman import codes
from lanman.domain import Open
from lanman.errors import StatusError
from lanman.fscc.notify import (
    FILE_ACTION_ADDED,
    FILE_ACTION_REMOVED,
    FILE_ACTION_RENAMED_NEW_NAME,
    FILE_ACTION_RENAMED_OLD_NAME,
)
from lanman.server.disk_effects import LookUp, Path, RenameFile
from lanman.server.effects import Detached, Work
from lanman.server.files.notify import names_change
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.files.paths import Spelling
from lanman.server.files.table import FileOpen, Files, FileState, shares_conflict
from lanman.smb2.constants import FILE_ADD_FILE, FILE_SHARE_READ, FILE_SHARE_WRITE


class NamedOpen(FileOpen, Protocol):
    """The open that a file is renamed through. `handle` is the disk's."""

    open: Open
    handle: int
    spelling: Spelling
    files: Files


def rename(named: NamedOpen, target: Path, replace: bool) -> Work[None]:
    """Rename what is open to the path `target` of its share, over what has that name if `replace` says so. Raises
    StatusError."""
    files = named.files
    yield from _clear_handles(named)
    yield from _clear_below(named)
    for each in files.at(named.root, target[:-1]):
        if shares_conflict(FILE_ADD_FILE, FILE_SHARE_READ | FILE_SHARE_WRITE, each.access, each.share_access):
            raise StatusError(codes.STATUS_SHARING_VIOLATION)
    effect = RenameFile(named.handle, named.spelling.to_disk(target), replace)
    if replace:
        yield from _clear_target(named, effect.target)
    if status := (yield Detached(_on_disk(named, effect))):
        raise StatusError(status)


def _clear_handles(named: NamedOpen) -> Work[None]:
    """Wait until no other client keeps the file itself open for no program: it would go on under the old name."""
    while not named.by_link and not named.state.take_handles_back(named.holder, named.files.scheduler.now):
        yield from named.state.changes(lambda: named.holder, for_handles=True)


def _clear_below(named: NamedOpen) -> Work[None]:
    """Wait until nothing is open below a directory. Raises StatusError if something is that no oplock break closes, or
    if others open more and more: a file that was breaking already may have two steps before it."""
    files = named.files
    ends = files.scheduler.now + 2 * BREAK_TIMEOUT
    while named.directory and files.has_open_below(named.root, named.path):
        cached = files.cached_below(named.root, named.path)
        unanswered = [each.state for each in cached if not each.state.take_handles_back(None, files.scheduler.now)]
        if not unanswered or files.scheduler.now >= ends:
            raise StatusError(codes.STATUS_ACCESS_DENIED)
        yield from _changes(unanswered[0])


def _clear_target(named: NamedOpen, target: Path) -> Work[None]:
    """Wait until what has the new name is not open. Raises StatusError if it stays open, or is READONLY."""
    while True:
        try:
            stat = yield LookUp(named.root, target)
        except StatusError as error:
            if error.status == codes.STATUS_OBJECT_NAME_NOT_FOUND:
                return
            raise
        other = named.files.find(stat.identity)
        if other is None or other is named.state or not other.is_open:
            break
        if other.take_handles_back(None, named.files.scheduler.now):
            raise StatusError(codes.STATUS_ACCESS_DENIED)
        yield from _changes(other)
    if stat.is_protected and stat.identity != named.state.identity:
        raise StatusError(codes.STATUS_ACCESS_DENIED)


def _changes(state: FileState) -> Work[None]:
    """Wait until an oplock or a lease of another file has been given back, or one of its opens is gone."""
    yield from state.changes(lambda: None, for_handles=True)
    state.tidy()


def _on_disk(named: NamedOpen, effect: RenameFile) -> Work[int]:
    """Rename it, and have others know; the status. Detached from the request: it may be renamed though nobody waits any
    more, and then nobody needs to know that it could not be."""
    try:
        path = yield effect
    except StatusError as error:
        return error.status
    _follow(named, named.spelling.from_disk(path), named.files.scheduler.now)
    return codes.STATUS_SUCCESS


def _follow(named: NamedOpen, path: Path, now: float) -> None:
    """It has another name: move all opens by the old one, and tell those who watch."""
    root, old, files = named.root, named.path, named.files
    what = names_change(named.directory)
    for each in list(named.state.opens):
        if each.root == root and each.path == old:
            each.moved(path, named.open)
    named.state.renamed(root, old, path)
    if old[:-1] == path[:-1]:
        files.changed(named, old, FILE_ACTION_RENAMED_OLD_NAME, what, now)
        files.changed(named, path, FILE_ACTION_RENAMED_NEW_NAME, what, now)
    else:
        files.changed(named, old, FILE_ACTION_REMOVED, what, now)
        files.changed(named, path, FILE_ACTION_ADDED, what, now)
