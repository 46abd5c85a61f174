"""Who was on a server, and when: a recorder that remembers what a watcher sees, and a store that answers about it."""

from __future__ import annotations

from lanman.manage.history.opening import open_store
from lanman.manage.history.recorder import BlockingRecorder, Recorder
from lanman.manage.history.records import AlreadyHeld, Answer, Deed, GapRecord, GapWhy, Holder, Stats, Stay, Watched
from lanman.manage.history.store import Store

__all__ = [
    "AlreadyHeld",
    "Answer",
    "BlockingRecorder",
    "Deed",
    "GapRecord",
    "GapWhy",
    "Holder",
    "Recorder",
    "Stats",
    "Stay",
    "Store",
    "Watched",
    "open_store",
]
