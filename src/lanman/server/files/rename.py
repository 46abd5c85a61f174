"""FileRenameInformation (MS-FSA 2.1.5.15.12): a file or directory gets another name, or another folder.

The rules:

* A directory is not moved while anything below it is open, through whichever share: it would be found at its new place
  only. Clients that keep something open for no program (batch oplocks) are asked to close it first, and the request
  waits for them.
* The folder that takes the new name in is treated as if it were opened for that (FILE_ADD_FILE): an open of it that
  does not share writing prevents the rename.
* What has the new name already is replaced if the request says so and it is neither open nor READONLY. It is looked for
  once more after every wait; the disk judges a last time (RenameFile fails on a directory). Where it is just being
  taken away, its last open is closed, and the request waits until it has gone.
* What is in its way and is just being closed with its session is waited for (`server.ending`).
* While the disk is busy with it, whoever would open either name to change it, open anything below, or give the new name
  to something else, waits until it is done (`moving`), whether or not its client is still there. So do renames of what
  is above and below.
* In the step in which the disk has renamed it, those who watch either folder are told, even if whoever asked for it is
  gone by then. All opens by the old name follow, those through other shares too: `AT_ONCE` in one turn of the event
  loop, and before its turn one that is closed or has something to tell of. Until the last one has, the rename is under
  way for others, is not answered, and what is said of either name is said of the new one (`FileState.following`).
"""

from __future__ import annotations

from itertools import filterfalse
from operator import attrgetter
from typing import Final, Protocol

from lanman import codes
from lanman.domain import Open
from lanman.errors import StatusError
from lanman.fscc.notify import (
    FILE_ACTION_ADDED,
    FILE_ACTION_REMOVED,
    FILE_ACTION_RENAMED_NEW_NAME,
    FILE_ACTION_RENAMED_OLD_NAME,
)
from lanman.names import fold
from lanman.server.disk_effects import FileStat, LookUp, Path, RenameFile
from lanman.server.effects import Detached, Work
from lanman.server.ending import MOST_TRIES
from lanman.server.files.leases import path_below
from lanman.server.files.moving import Move
from lanman.server.files.notify import names_change
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.files.paths import Spelling
from lanman.server.files.table import FileOpen, Files, FileState
from lanman.smb2.constants import FILE_ADD_FILE, FILE_SHARE_READ, FILE_SHARE_WRITE

# How many opens follow in one turn of the event loop: some 40,000 bytecode steps.
AT_ONCE: Final = 64


class NamedOpen(FileOpen, Protocol):
    """The open that a file is renamed through. `handle` is the disk's."""

    open: Open
    handle: int
    spelling: Spelling
    files: Files


def rename(named: NamedOpen, target: Path, replace: bool) -> Work[None]:
    """Rename what is open to the path `target` of its share, over what has that name if `replace` says so. Raises
    StatusError."""
    ends = named.files.ends
    for _ in range(MOST_TRIES):
        since = ends.finished
        try:
            yield from _rename(named, target, replace)
            return
        except StatusError as error:
            if not ends.explain(error.status, since):
                raise
        yield from ends.passed()
        if named not in named.state.opens or not named.open.tree_connect.is_connected:
            raise StatusError(codes.STATUS_FILE_CLOSED)
    yield from _rename(named, target, replace)


def _rename(named: NamedOpen, target: Path, replace: bool) -> Work[None]:
    files = named.files
    yield from _clear_handles(named)
    ends = files.scheduler.now + 2 * BREAK_TIMEOUT
    effect = RenameFile(named.handle, named.spelling.to_disk(target), replace)
    while True:
        yield from _clear_below(named, ends)
        folders = set(map(attrgetter("state"), files.at(named.root, target[:-1])))
        if any(folder.violates(FILE_ADD_FILE, FILE_SHARE_READ | FILE_SHARE_WRITE) for folder in folders):
            raise StatusError(codes.STATUS_SHARING_VIOLATION)
        yield from files.moving.wait_until_free(named.root, named.path, target)
        if replace:
            yield from _clear_target(named, target, effect.target)
        elif files.removing:
            yield from _await_removal(named, effect.target)
        if files.moving.is_free(named.root, named.path, target) and not _is_open_below(named):
            break
    move = files.moving.begin(named.root, named.path, target)
    try:
        status = yield Detached(_on_disk(named, effect, move))
    finally:
        if not move.begun:
            move.end()
    if status:
        raise StatusError(status)


def _clear_handles(named: NamedOpen) -> Work[None]:
    """Wait until no other client keeps the file itself open for no program: it would go on under the old name."""
    if not named.by_link:
        yield from named.state.clear_handles(lambda: named.holder)


def _is_open_below(named: NamedOpen) -> bool:
    return named.directory and named.files.has_open_below(named.root, named.path)


def _clear_below(named: NamedOpen, ends: float) -> Work[None]:
    """Wait until nothing is open below a directory. Raises StatusError if something is that no oplock break closes, or
    if others open more and more until `ends`: a file that was breaking already may have two steps before it."""
    files = named.files
    while _is_open_below(named):
        cached = files.cached_below(named.root, named.path)
        unanswered = [state for state in cached if not state.take_handles_back(None, files.scheduler.now)]
        if not unanswered or files.scheduler.now >= ends:
            raise StatusError(codes.STATUS_ACCESS_DENIED)
        yield from _changes(unanswered[0])


def _clear_target(named: NamedOpen, target: Path, on_disk: Path) -> Work[None]:
    """Wait until what has the new name is not open. Raises StatusError if it stays open, or is READONLY."""
    files = named.files
    while True:
        known = set(files.at(named.root, target))
        stat: FileStat | None = None
        try:
            stat = yield LookUp(named.root, on_disk)
        except StatusError as error:
            if error.status != codes.STATUS_OBJECT_NAME_NOT_FOUND:
                raise
        if not known.issuperset(files.at(named.root, target)):
            continue  # what it has been opened since may be another file than the disk has found
        if stat is None:
            return
        other = files.find(stat.identity)
        if other is None or other is named.state or not other.is_open:
            break
        if other.removing:
            yield from other.gone()
            other.tidy()
            continue
        if other.take_handles_back(None, files.scheduler.now):
            raise StatusError(codes.STATUS_ACCESS_DENIED)
        yield from _changes(other)
    if stat.is_protected and stat.identity != named.state.identity:
        raise StatusError(codes.STATUS_ACCESS_DENIED)


def _await_removal(named: NamedOpen, on_disk: Path) -> Work[None]:
    """Where what has the new name is just being taken away, wait until it has gone."""
    try:
        stat: FileStat = yield LookUp(named.root, on_disk)
    except StatusError:
        return  # the disk says what is the matter when it is to be renamed
    other = named.files.find(stat.identity)
    if other is not None and other.removing:
        yield from other.gone()
        other.tidy()


def _changes(state: FileState) -> Work[None]:
    """Wait until an oplock or a lease of another file has been given back, or one of its opens is gone."""
    yield from state.changes(lambda: None, for_handles=True)
    state.tidy()


def _on_disk(named: NamedOpen, effect: RenameFile, move: Move) -> Work[int]:
    """Rename it, and have others know; the status. Detached from the request: it may be renamed though nobody waits any
    more, and then nobody needs to know that it could not be."""
    move.begun = True
    try:
        path = yield effect
        yield from _follow(named, named.spelling.from_disk(path))
    except StatusError as error:
        return error.status
    finally:
        move.end()
    return codes.STATUS_SUCCESS


def _follow(named: NamedOpen, path: Path) -> Work[None]:
    """It has another name: tell those who watch, and move all opens by the old one. Some may come and go meanwhile."""
    root, old, files, state = named.root, named.path, named.files, named.state
    place = fold(named.open.path)
    names = files.names_at(root, old, path)
    seen: set[FileOpen] = {named}

    def move(each: FileOpen) -> None:
        if each not in seen and each in state.opens and fold(each.open.path) == place:
            _move(each, named, path)
        seen.add(each)

    state.follow(names)
    files.followers.setdefault(state, []).append(move)
    try:
        if named in state.opens:
            _move(named, named, path)
        _say_renamed(named, old, path)
        while ahead := list(filterfalse(seen.__contains__, state.opens)):
            for number, each in enumerate(ahead, 1):
                move(each)
                if number % AT_ONCE == 0:
                    yield None
    finally:
        files.followers[state].remove(move)
        if not files.followers[state]:
            del files.followers[state]
        state.follow_no_more(names)


def _move(each: FileOpen, named: NamedOpen, path: Path) -> None:
    """One open by the old name follows to the path `path` of the share that it was renamed through."""
    files = named.files
    after = path_below(each.root, named.root, path)
    if after is not None:
        each.moved(after, named.open)
    else:  # it is not below that other share's folder any more: only lists say where it is
        files.service.rename_open(each.open, "/".join([named.root.rstrip("/"), *path]), named.open)


def _say_renamed(named: NamedOpen, old: Path, path: Path) -> None:
    """Tell those who watch either folder."""
    files, what, now = named.files, names_change(named.directory), named.files.scheduler.now
    if old[:-1] == path[:-1]:
        files.changed(named, old, FILE_ACTION_RENAMED_OLD_NAME, what, now)
        files.changed(named, path, FILE_ACTION_RENAMED_NEW_NAME, what, now)
    else:
        files.changed(named, old, FILE_ACTION_REMOVED, what, now)
        files.changed(named, path, FILE_ACTION_ADDED, what, now)
