r"""ADSI's WinNT provider, as far as it is about sessions and open files of a file service.

    service = GetObject("WinNT://fs1/LanmanServer")
    for session in service.Sessions():
        print(session.User, session.Computer, session.ConnectTime, session.IdleTime)
    service.Sessions().Remove(session.Name)                 # ends it

Paths are `WinNT://host/LanmanServer` and `WinNT://domain/host/LanmanServer`, with `,FileService` if you like and a port
behind the host where it is not 445. The host `.` is this machine. Rules:

  - Objects answer to the members of the interfaces that their classes are named after.
  - A collection is as the server was when it was asked for; what it holds does not change. Remove ends all
    sessions of that user and computer, and closes the file that was collected, but no other that has its id by now.
  - A property of a file service is read when it is first used; what is set is written by SetInfo.

What goes wrong raises `com_error`, as pywin32's: hresult (negative, as Windows prints it), strerror, excepinfo,
argerror. An error of the server is HRESULT_FROM_WIN32 of its code: 5 is 0x80070005, 2312 is 0x80070908.
"""

from __future__ import annotations

import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, Generic, TypeVar

from lanman import codes
from lanman.compat import _calls, _logins
from lanman.compat._arguments import number, required
from lanman.errors import LanmanError
from lanman.names import choose
from lanman.net import child
from lanman.records import FileInfo, ServerInfo, SessionInfo

__all__ = [
    "ADS_SERVICE_ERROR",
    "ADS_SERVICE_PAUSED",
    "ADS_SERVICE_RUNNING",
    "ADS_SERVICE_STOPPED",
    "E_ADS_BAD_PATHNAME",
    "E_ADS_PROPERTY_NOT_FOUND",
    "E_ADS_PROPERTY_NOT_SUPPORTED",
    "E_NOTIMPL",
    "MK_E_SYNTAX",
    "GetObject",
    "IADsCollection",
    "IADsFileService",
    "IADsFileServiceOperations",
    "IADsResource",
    "IADsSession",
    "com_error",
]

T = TypeVar("T")

E_NOTIMPL: Final = 0x80004001
MK_E_SYNTAX: Final = 0x800401E4
E_ADS_BAD_PATHNAME: Final = 0x80005000
E_ADS_PROPERTY_NOT_SUPPORTED: Final = 0x80005006
E_ADS_PROPERTY_NOT_FOUND: Final = 0x8000500D

ADS_SERVICE_STOPPED: Final = 1
ADS_SERVICE_RUNNING: Final = 4
ADS_SERVICE_PAUSED: Final = 7
ADS_SERVICE_ERROR: Final = 8

_TEXTS: Final = {
    E_NOTIMPL: "Not implemented",
    MK_E_SYNTAX: "Invalid syntax",
    E_ADS_BAD_PATHNAME: "An invalid directory pathname was passed",
    E_ADS_PROPERTY_NOT_SUPPORTED: "The directory property is not supported",
    E_ADS_PROPERTY_NOT_FOUND: "The directory property cannot be found in the cache",
}
_32_BITS: Final = 0xFFFFFFFF


class com_error(Exception):
    """What pywintypes.com_error is: `args` are (hresult, strerror, excepinfo, argerror)."""

    def __init__(self, hresult: int, strerror: str, excepinfo: tuple[Any, ...] | None = None, argerror: Any = None):
        super().__init__(hresult, strerror, excepinfo, argerror)
        self.hresult, self.strerror, self.excepinfo, self.argerror = hresult, strerror, excepinfo, argerror


def _com_error(hresult: int, words: str | None = None) -> com_error:
    """An error by its HRESULT as it is written in hexadecimal, with more words where there are more."""
    excepinfo = None if words is None else (0, "lanman", words, None, 0, hresult - (1 << 32))
    return com_error(hresult - (1 << 32), _TEXTS[hresult], excepinfo)


def _win32_error(code: int, words: str | None = None) -> com_error:
    """HRESULT_FROM_WIN32."""
    hresult = (0x80070000 | code & 0xFFFF) - (1 << 32)
    return com_error(hresult, codes.win32_text(code), None if words is None else (0, "lanman", words, None, 0, hresult))


def _called(call: Callable[[], T]) -> T:
    try:
        return call()
    except LanmanError as error:
        raise _win32_error(error.code, f"{error}. {error.hint}" if error.hint else str(error)) from error


def _check_outcome(error: LanmanError | None) -> None:
    if error is not None:
        raise _win32_error(error.code, str(error)) from error


def _check(status: int) -> None:
    if status:
        raise _win32_error(status)


_PATH: Final = re.compile(
    r"WinNT://(?:(?P<domain>[^/,]+)/)?(?P<host>[^/,]+)/LanmanServer(?:,FileService)?/?", re.IGNORECASE
)


def GetObject(path: str) -> IADsFileServiceOperations:
    """Bind to a file service. Nothing is asked of the server yet.

    Raises com_error: MK_E_SYNTAX for another provider's path, E_ADS_BAD_PATHNAME for anything else that is no path of
    a file service.
    """
    path = required(path, "path")
    if not path.casefold().startswith("winnt:"):
        raise _com_error(MK_E_SYNTAX)
    match = _PATH.fullmatch(path)
    if match is None:
        raise _com_error(E_ADS_BAD_PATHNAME, f"{path}: WinNT://host/LanmanServer is what can be bound to here")
    host = match["host"]
    try:
        _logins.address_of(host)
    except LanmanError as error:
        raise _com_error(E_ADS_BAD_PATHNAME, str(error)) from error
    parent = f"WinNT://{match['domain']}/{host}" if match["domain"] else f"WinNT://{host}"
    return IADsFileServiceOperations(host, parent)


class _Object(ABC):
    """What every object of ADSI has (IADs). `GUID` is that of its interface."""

    Class: ClassVar[str]
    GUID: ClassVar[str]
    Name: str
    Parent: str

    @property
    def ADsPath(self) -> str:
        """The path of the object: its parent's, and its name (IADs)."""
        return f"{self.Parent}/{self.Name}"

    @property
    def Schema(self) -> str:
        """The path of the object's class on its computer (IADs)."""
        return f"{self._computer}/Schema/{self.Class}"

    @property
    @abstractmethod
    def _computer(self) -> str:
        """The path of the computer that it is on."""

    def Get(self, bstrName: str) -> Any:
        """A property by its name, in any case of letters."""
        for name in self._properties():
            if name.casefold() == bstrName.casefold():
                return getattr(self, name)
        raise _com_error(E_ADS_PROPERTY_NOT_FOUND, bstrName)

    @abstractmethod
    def _properties(self) -> tuple[str, ...]:
        """The names of what Get knows."""


class IADsFileService(_Object):
    """A file service: Description and MaxUserCount, read when first used, written by SetInfo."""

    Class = "FileService"
    GUID = "{A89D1900-31CA-11CF-A98A-00AA006BC149}"

    def __init__(self, host: str, parent: str) -> None:
        self._host = host
        self.Name = "LanmanServer"
        self.Parent = parent
        self._cache: ServerInfo | None = None
        self._changed: dict[str, Any] = {}

    @property
    def _computer(self) -> str:
        return self.Parent

    def _properties(self) -> tuple[str, ...]:
        return "Description", "MaxUserCount", "HostComputer", "Name", "ServiceName"

    @property
    def HostComputer(self) -> str:
        """The path of the computer that the service runs on."""
        return self.Parent

    @property
    def ServiceName(self) -> str:
        """The name of the service, LanmanServer (IADsService)."""
        return self.Name

    @property
    def Description(self) -> str:
        """The server's comment."""
        return str(self._value("comment") or "")

    @Description.setter
    def Description(self, value: str) -> None:
        """Set the comment in the cache; SetInfo writes it (NetrServerSetInfo level 1005)."""
        self._changed["comment"] = required(value, "Description")

    @property
    def MaxUserCount(self) -> int:
        """How many users may be there at once; -1 for as many as like."""
        users = self._value("users")
        return -1 if users in (-1, _32_BITS) else int(users or 0)

    @MaxUserCount.setter
    def MaxUserCount(self, value: int) -> None:
        """Set the number in the cache, -1 for no limit; SetInfo writes it (NetrServerSetInfo level 1107)."""
        self._changed["users"] = number(value, "MaxUserCount") & _32_BITS

    def Put(self, bstrName: str, vProp: Any) -> None:
        """Set a property by its name; SetInfo writes it."""
        for name in ("Description", "MaxUserCount"):
            if name.casefold() == bstrName.casefold():
                setattr(self, name, vProp)
                return
        raise _com_error(E_ADS_PROPERTY_NOT_SUPPORTED, bstrName)

    def GetInfo(self) -> None:
        """Read the properties again, and forget what was set and not written."""
        answer = _called(lambda: _calls.server_get_info(self._host, 102))
        _check(answer.status)
        self._cache, self._changed = answer.info, {}

    def SetInfo(self) -> None:
        """Write what was set."""
        for name, level in (("comment", 1005), ("users", 1107)):
            if name in self._changed:
                info = ServerInfo(**{name: self._changed[name]})
                _check(_called(lambda: _calls.server_set_info(self._host, level, info)).status)  # noqa: B023
                del self._changed[name]
        self._cache = None

    def _value(self, name: str) -> Any:
        if name in self._changed:
            return self._changed[name]
        if self._cache is None:
            changed = self._changed
            self.GetInfo()
            self._changed = changed
        return getattr(self._cache, name)


class IADsFileServiceOperations(IADsFileService):
    """A file service with what can be done to it (IADsServiceOperations and IADsFileServiceOperations).

    Starting and stopping is for this machine's own Server; a service manager is another protocol than the server's.
    """

    def Sessions(self) -> IADsCollection[IADsSession]:
        """The sessions, as they are now."""
        return IADsCollection([IADsSession(self, info) for info in _called(self._sessions)], self._end, "Session")

    def _sessions(self) -> list[SessionInfo]:
        with _calls.managing(self._host) as manager:
            return manager.sessions().entries

    def _end(self, session: IADsSession) -> None:
        def order() -> LanmanError | None:
            # Not by the bare call: told to end a null session, a server ends all sessions of that client.
            with _calls.managing(self._host, order=True) as manager:
                # The login agrees to what a Samba does, and never to a null session's taking all others along.
                agreed = manager.is_samba and _calls.with_others(self._host)
                return manager.close_sessions([session.info], with_others=agreed)[0].error

        _check_outcome(_called(order))

    def Resources(self) -> IADsCollection[IADsResource]:
        """The open files, as they are now."""
        status, entries = _calls.whole_list(
            lambda resume: _called(lambda: _calls.file_enum(self._host, None, None, 3, resume=resume))
        )
        if status not in (codes.NERR_Success, codes.ERROR_MORE_DATA):
            raise _win32_error(status)
        return IADsCollection([IADsResource(self, info) for info in entries], self._close, "Resource")

    def _close(self, resource: IADsResource) -> None:
        def order() -> LanmanError | None:
            # Not by the bare number: it may have come to mean another file since the collection was made.
            with _calls.managing(self._host, order=True) as manager:
                return manager.close_files([resource.info])[0].error

        _check_outcome(_called(order))

    @property
    def Status(self) -> int:
        """ADS_SERVICE_RUNNING where it answers, ADS_SERVICE_PAUSED where it says so, ADS_SERVICE_STOPPED where the
        machine says that it has none."""
        try:
            answer = _calls.server_get_info(self._host, 100)
        except LanmanError as error:
            if error.code == codes.NERR_ServerNotStarted:
                return ADS_SERVICE_STOPPED
            raise _win32_error(error.code, str(error)) from error
        if answer.status:
            return ADS_SERVICE_ERROR
        try:
            with _calls.managing(self._host) as manager:
                return ADS_SERVICE_PAUSED if manager.service_state() == "paused" else ADS_SERVICE_RUNNING
        except LanmanError:  # a Samba has no pause, and others tell administrators alone
            return ADS_SERVICE_RUNNING

    def Start(self) -> None:
        """Start this machine's Server, as `lanman start server` does. E_NOTIMPL for another machine's."""
        self._own()
        if self.Status in (ADS_SERVICE_RUNNING, ADS_SERVICE_PAUSED):
            raise _win32_error(codes.ERROR_SERVICE_ALREADY_RUNNING)
        self._command("start", codes.ERROR_SERVICE_REQUEST_TIMEOUT)

    def Stop(self) -> None:
        """Stop this machine's Server, as `lanman stop server` does. E_NOTIMPL for another machine's."""
        self._own()
        if self.Status not in (ADS_SERVICE_RUNNING, ADS_SERVICE_PAUSED):
            raise _win32_error(codes.ERROR_SERVICE_NOT_ACTIVE)
        self._command("stop", codes.ERROR_SERVICE_REQUEST_TIMEOUT)

    def Pause(self) -> None:
        """Let no newcomers in but administrators, as `lanman pause server` does."""

        def order() -> None:
            with _calls.managing(self._host, order=True) as manager:
                manager.pause()

        _called(order)

    def Continue(self) -> None:
        """Let newcomers in again, as `lanman continue server` does."""

        def order() -> None:
            with _calls.managing(self._host, order=True) as manager:
                manager.continue_()

        _called(order)

    def SetPassword(self, bstrNewPassword: str) -> None:
        """E_NOTIMPL: the Server service has no password."""
        raise _com_error(E_NOTIMPL, "SetPassword")

    def _own(self) -> None:
        if _logins.address_of(self._host) is not None:
            raise _com_error(E_NOTIMPL, f"{self._host}: a Server service is started and stopped on its own machine")

    def _command(self, verb: str, code: int) -> None:
        devnull, pipe = subprocess.DEVNULL, subprocess.PIPE
        with child.start(verb, "server", stdin=devnull, stdout=devnull, stderr=pipe) as process:
            _, said = process.communicate()
        if process.returncode:
            raise _win32_error(code, said.decode("utf-8", "replace").strip())


class IADsSession(_Object):
    """A session. Times are in seconds; one that the server does not know is None."""

    Class = "Session"
    GUID = "{398B7DA0-4AAB-11CF-AE2C-00AA006EBFB9}"

    def __init__(self, service: IADsFileService, info: SessionInfo) -> None:
        self.info = info
        self.Parent = service.ADsPath
        self._service = service
        self.User = info.user_name or ""
        self.Computer = (info.client_name or "").lstrip("\\")
        self.Name = f"{self.User}\\{self.Computer}"
        self.ConnectTime = info.active_time
        self.IdleTime = info.idle_time

    @property
    def _computer(self) -> str:
        return self._service.Parent

    def _properties(self) -> tuple[str, ...]:
        return "User", "UserPath", "Computer", "ComputerPath", "ConnectTime", "IdleTime", "Name"

    @property
    def UserPath(self) -> str:
        """The path of the user's object, on the server."""
        return f"{self._computer}/{self.User}" if self.User else ""

    @property
    def ComputerPath(self) -> str:
        """The path of the client's object."""
        return f"WinNT://{self.Computer}"


class IADsResource(_Object):
    """An open file. Its name is its id."""

    Class = "Resource"
    GUID = "{34A05B20-4AAB-11CF-AE2C-00AA006EBFB9}"

    def __init__(self, service: IADsFileService, info: FileInfo) -> None:
        self.info = info
        self.Parent = service.ADsPath
        self._service = service
        self.User = info.user_name or ""
        self.Path = info.path or ""
        self.LockCount = info.num_locks or 0
        self.Name = str(info.id)

    @property
    def _computer(self) -> str:
        return self._service.Parent

    def _properties(self) -> tuple[str, ...]:
        return "User", "UserPath", "Path", "LockCount", "Name"

    @property
    def UserPath(self) -> str:
        """The path of the user's object, on the server."""
        return f"{self._computer}/{self.User}" if self.User else ""


Item = TypeVar("Item", bound=_Object)


class IADsCollection(Generic[Item]):
    """Objects by name, as they were when the collection was made. What is removed is ended at the server."""

    def __init__(self, items: list[Item], remove: Callable[[Item], None], kind: str) -> None:
        self._items = items
        self._remove = remove
        self._missing = codes.NERR_ClientNameNotFound if kind == "Session" else codes.NERR_FileIdNotFound

    def __iter__(self) -> Iterator[Item]:
        return iter(list(self._items))

    def GetObject(self, bstrName: str) -> Item:
        """The object of that name, else one whose name differs in case alone. HRESULT 0x80070908 or 0x8007090A where
        there is none."""
        found = choose(required(bstrName, "bstrName"), [item.Name for item in self._items])
        for item in self._items:
            if item.Name in found:
                return item
        raise _win32_error(self._missing, bstrName)

    def Remove(self, bstrItemToBeRemoved: str) -> None:
        """End the session, with all others of the same user and computer, or close the file."""
        item = self.GetObject(bstrItemToBeRemoved)
        self._remove(item)
        self._items = [other for other in self._items if other.Name != item.Name]

    def Add(self, bstrName: str, vItem: Any) -> None:
        """E_NOTIMPL: sessions and open files are made by clients."""
        raise _com_error(E_NOTIMPL, "Add")
