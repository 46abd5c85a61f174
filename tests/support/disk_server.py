"""The Server in memory with folders of a real disk: `World`, its effects performed at once and in turn."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lanman import codes
from lanman.domain import Share
from lanman.net.disk.files import Files, Handle
from lanman.net.disk.system import DiskRefused, status_of
from lanman.server import disk_effects as effects
from lanman.server.disk_effects import Opened
from lanman.server.effects import LATER, Effect
from lanman.smb2.client import OplockBreakReceived, ResponseReceived
from lanman.smb2.constants import FILE_CREATE, FILE_DIRECTORY_FILE, FILE_OPEN
from lanman.smb2.messages import (
    CloseRequest,
    CreateContext,
    CreateRequest,
    CreateResponse,
    OplockBreak,
    ReadRequest,
    SetInfoRequest,
    WriteRequest,
)
from support.memory_server import Client, World

ALL = 0x001F01FF
READ = 0x00120089
SHARE_ALL = 7


class DiskWorld(World):
    """`share` is a folder that everybody may change. Effects that `held` holds for wait until it is called off.

    They have begun: a handle that is closed meanwhile stays theirs until they have ended, as it does in a thread. Those
    that `told_late` holds for are performed, and the Server hears of it with `tell`. `at_once`: what waits for no disk
    is performed where it is asked for.
    """

    def __init__(self, folder: Path, *, at_once: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.folder = folder
        self.files = Files(limit=1000)
        # A listing that is left to the collector is a warning, which fails whatever test is run just then.
        weakref.finalize(self, self.files.close_all)
        self.held: Callable[[Effect[Any]], bool] = lambda effect: False
        self.told_late: Callable[[Effect[Any]], bool] = lambda effect: False
        self._waiting: list[tuple[int, Effect[Any]]] = []
        self._untold: list[Callable[[], None]] = []
        self._taken: dict[int, list[Handle]] = {}  # what those that wait have begun with, by their tickets
        files = self.files
        self._performers: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            effects.OpenFile: files.open,
            effects.OverwriteFile: files.overwrite,
            effects.LookUp: files.look_up,
            effects.ReadFile: files.read,
            effects.WriteFile: files.write,
            effects.CopyFileRange: files.copy,
            effects.FlushFile: files.flush,
            effects.QueryFile: files.query,
            effects.SetFile: files.set,
            effects.RenameFile: files.rename,
            effects.CheckDeletable: files.check_deletable,
            effects.CloseFile: files.close,
            effects.ListDirectory: files.list,
            effects.QueryVolume: files.volume,
            effects.CheckShare: files.check_share,
        }
        if at_once:
            self.dispatch.scheduler.at_once = self.do_at_once
        self.share("share", folder)

    def do_at_once(self, effect: Effect[Any]) -> Any:
        """What neither has to wait nor is about a handle with which something is under way, like a Server's driver."""
        looks = isinstance(effect, effects.ReadFile | effects.QueryFile)
        if not looks and not (isinstance(effect, effects.CloseFile) and not effect.delete):
            return LATER
        if self.held(effect) or self.told_late(effect) or self.dispatch.scheduler.unperformed or self._waiting:
            return LATER
        try:
            return self._performers[type(effect)](effect)
        except (DiskRefused, OSError):
            return LATER

    def share(self, name: str, folder: Path, **options: Any) -> Share:
        share = Share(name, path=str(folder), **options)
        self.service.add_share(share)
        return share

    def user(self, name: str = "ann", share: str = "share", **options: Any) -> FileClient:
        """A client that has logged on and connected to the share."""
        client = FileClient(self, **options)
        client.negotiate()
        client.log_on(name)
        client.tree_connect(rf"\\server\{share}")
        return client

    def perform(self, ticket: int, effect: Effect[Any]) -> None:
        if type(effect) not in self._performers:
            super().perform(ticket, effect)
        elif self.held(effect):
            self._waiting.append((ticket, effect))
            self._taken[ticket] = self._taken_by(effect)
        elif self.told_late(effect):
            self._untold.append(self._done(ticket, effect))
        else:
            self._done(ticket, effect)()

    def _done(self, ticket: int, effect: Effect[Any]) -> Callable[[], None]:
        """Perform it; what tells of the result."""
        try:
            result = self._performers[type(effect)](effect)
        except DiskRefused as error:
            return partial(self._failed, ticket, error.status)
        except OSError as error:
            return partial(self._failed, ticket, status_of(error))
        return partial(self._completed, ticket, result)

    def _failed(self, ticket: int, status: int) -> None:
        self.dispatch.scheduler.failed(ticket, status, self.now)

    def _completed(self, ticket: int, result: Any) -> None:
        if not self.dispatch.scheduler.completed(ticket, result, self.now) and isinstance(result, Opened):
            self.files.release(result.handle)

    def tell(self) -> None:
        """Tell of what was performed, and not told."""
        self.told_late = lambda effect: False
        untold, self._untold = self._untold, []
        for each in untold:
            each()
        self.pump()

    def let_go(self) -> None:
        """Perform what was held, and hold nothing more."""
        self.held = lambda effect: False
        self.perform_held()

    def perform_held(self, most: int | None = None) -> None:
        """Perform that much of what was held, or all; what comes of it is held again."""
        waiting, self._waiting = self._waiting[:most], [] if most is None else self._waiting[most:]
        for ticket, effect in waiting:
            handles = self._taken.pop(ticket)
            with self._there_again([each for each in handles if each.closed]):
                self._done(ticket, effect)()
            for each in handles:
                self.files.put_back(each)
        self.pump()

    def _taken_by(self, effect: Effect[Any]) -> list[Handle]:
        names = () if isinstance(effect, effects.CloseFile) else ("handle", "source", "target")
        numbers = [getattr(effect, name, None) for name in names]
        return [self.files.take(number) for number in numbers if isinstance(number, int)]

    @contextmanager
    def _there_again(self, handles: list[Handle]) -> Iterator[None]:
        """Their numbers mean these handles, though they are closed."""
        for each in handles:
            self.files._handles[each.number] = each
        yield
        for each in handles:
            del self.files._handles[each.number]


class FileClient(Client):
    """A client of files, in few words."""

    def __init__(
        self, world: World, address: str = "", *, guid: bytes = b"\x22" * 16, dialects: tuple[int, ...] = (0x0311,)
    ) -> None:
        self.told: list[OplockBreakReceived] = []
        self.watches: Callable[[Any], None] = lambda event: None  # is given all that it receives, in order
        super().__init__(world, address or f"192.0.2.{len(world.dispatch.connections) + 1}", dialects, guid)

    @property
    def breaks(self) -> list[int]:
        """The levels that this client was told to come down to, in order."""
        return [event.message.oplock_level for event in self.told if isinstance(event.message, OplockBreak)]

    def create(
        self,
        name: str,
        *,
        access: int = ALL,
        share: int = SHARE_ALL,
        disposition: int = FILE_OPEN,
        options: int = 0,
        oplock: int = 0,
        attributes: int = 0,
        contexts: Sequence[CreateContext] = (),
    ) -> CreateRequest:
        return CreateRequest(
            contexts=list(contexts),
            requested_oplock_level=oplock,
            desired_access=access,
            file_attributes=attributes,
            share_access=share,
            create_disposition=disposition,
            create_options=options,
            name=name,
        )

    def open(self, name: str, **options: Any) -> bytes:
        """Open something; its FileId."""
        return bytes(self.opened(name, **options).file_id)

    def opened(self, name: str, **options: Any) -> CreateResponse:
        response = self.want(self.create(name, **options))
        assert isinstance(response, CreateResponse)
        return response

    def status(self, name: str, **options: Any) -> str:
        """What opening something leads to."""
        return codes.ntstatus_name(self.ask(self.create(name, **options)).status)

    def make(self, name: str, data: bytes = b"", **options: Any) -> bytes:
        """Create a file with these contents."""
        file_id = self.open(name, disposition=FILE_CREATE, **options)
        if data:
            self.want(WriteRequest(data, file_id=file_id))
        return file_id

    def mkdir(self, name: str) -> None:
        self.shut(self.open(name, disposition=FILE_CREATE, options=FILE_DIRECTORY_FILE))

    def shut(self, file_id: bytes) -> None:
        self.want(CloseRequest(file_id=file_id))

    def get(self, file_id: bytes, length: int = 65536, offset: int = 0) -> ResponseReceived:
        return self.ask(ReadRequest(length=length, offset=offset, file_id=file_id))

    def set(self, file_id: bytes, information_class: int, data: bytes) -> str:
        """SET_INFO of a file; its status."""
        return codes.ntstatus_name(self.ask(SetInfoRequest(1, information_class, data, file_id=file_id)).status)

    def deliver(self, data: bytes) -> None:
        for event in self.core.receive_data(data):
            self.watches(event)
            if isinstance(event, OplockBreakReceived):
                self.told.append(event)
            else:
                self.received(event)

    def result(self, number: int) -> str:
        """How a request ended that was sent before; "" if it waits."""
        answer = self.answers.get(number)
        return codes.ntstatus_name(answer.status) if answer is not None else ""


@contextmanager
def emptied_world(folder: Path) -> Iterator[DiskWorld]:
    """A world of a new folder. At the end all leave, and nothing may be left over of what they had open."""
    folder.mkdir()
    world = DiskWorld(folder)
    yield world
    for client in list(world.clients.values()):
        world.disconnect(client)
    world.let_go()
    assert len(world.files) == 0, "handles are left over"
    assert not world.dispatch.files._states
    assert not world.dispatch.files.removing
    assert not world.dispatch.files._names
    assert len(world.dispatch.files.create_guids) == 0
