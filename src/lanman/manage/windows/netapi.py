"""One call of MS-SRVS as one call of netapi32: the same requests, the same answers, and no byte on any wire.

    api = NetApi(ctypes.WinDLL("netapi32"))
    answer = api.answer(NetrSessionEnum(None, None, None, 502))     # a NetrSessionEnumResponse

Rules:

  - The server's name is always NULL: the Server service of this machine, as the user whom this process runs as. A name
    would go over SMB.
  - A buffer that a call sets is ours, whatever the call returns, and is freed once, after all of it was copied. It is
    freed also where reading it fails.
  - A status is what the function returns; GetLastError means nothing here. A status is never raised: it is in the
    answer, as it would come from a server. A function or a call that there is not is Win32Error 50.
  - The resume handle of NetFileEnum has a pointer's size, that of the others 32 bits. One of 64 bits that is zero at
    first serves both, since Windows is little-endian everywhere.
  - `answer` blocks for as long as the service likes, may be called by several threads, and lets others run meanwhile.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, Final, NamedTuple, TypeVar, cast

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.windows.layout import Layout, check_number, string_bytes
from lanman.rpc.levels import Levels
from lanman.rpc.ndr import Call, Response
from lanman.rpc.srvsvc.connections import CONNECTION_INFO, NetrConnectionEnum
from lanman.rpc.srvsvc.files import FILE_INFO, NetrFileClose, NetrFileEnum, NetrFileGetInfo
from lanman.rpc.srvsvc.server import (
    SERVER_INFO,
    STATISTICS,
    TIME_OF_DAY,
    NetrRemoteTOD,
    NetrServerGetInfo,
    NetrServerSetInfo,
    NetrServerStatisticsGet,
)
from lanman.rpc.srvsvc.sessions import SESSION_INFO, NetrSessionDel, NetrSessionEnum
from lanman.rpc.srvsvc.shares import (
    SHARE_INFO,
    NetrShareAdd,
    NetrShareDel,
    NetrShareEnum,
    NetrShareEnumSticky,
    NetrShareGetInfo,
    NetrShareSetInfo,
)
from lanman.rpc.srvsvc.transports import TRANSPORT_INFO, NetrServerTransportEnum

R = TypeVar("R", bound=Response)


class _Function(NamedTuple):
    """A function of netapi32: its name, the request's fields that come after the server's name, and the records."""

    name: str
    fields: tuple[str, ...] = ()
    levels: Levels[Any] | None = None


_LISTS: Final[dict[type, _Function]] = {
    NetrSessionEnum: _Function("NetSessionEnum", ("client_name", "user_name"), SESSION_INFO),
    NetrFileEnum: _Function("NetFileEnum", ("base_path", "user_name"), FILE_INFO),
    NetrConnectionEnum: _Function("NetConnectionEnum", ("qualifier",), CONNECTION_INFO),
    NetrShareEnum: _Function("NetShareEnum", (), SHARE_INFO),
    NetrShareEnumSticky: _Function("NetShareEnumSticky", (), SHARE_INFO),
    NetrServerTransportEnum: _Function("NetServerTransportEnum", (), TRANSPORT_INFO),
}
_QUESTIONS: Final[dict[type, _Function]] = {
    NetrFileGetInfo: _Function("NetFileGetInfo", ("file_id", "level"), FILE_INFO),
    NetrShareGetInfo: _Function("NetShareGetInfo", ("net_name", "level"), SHARE_INFO),
    NetrServerGetInfo: _Function("NetServerGetInfo", ("level",), SERVER_INFO),
    NetrServerStatisticsGet: _Function("NetStatisticsGet", ("service", "level", "options"), STATISTICS),
    NetrRemoteTOD: _Function("NetRemoteTOD", (), TIME_OF_DAY),
}
_SETTINGS: Final[dict[type, _Function]] = {
    NetrShareAdd: _Function("NetShareAdd", ("level",), SHARE_INFO),
    NetrShareSetInfo: _Function("NetShareSetInfo", ("net_name", "level"), SHARE_INFO),
    NetrServerSetInfo: _Function("NetServerSetInfo", ("level",), SERVER_INFO),
}
_ORDERS: Final[dict[type, _Function]] = {
    NetrSessionDel: _Function("NetSessionDel", ("client_name", "user_name")),
    NetrFileClose: _Function("NetFileClose", ("file_id",)),
    NetrShareDel: _Function("NetShareDel", ("net_name", "reserved")),
}
FUNCTIONS: Final = {**_LISTS, **_QUESTIONS, **_SETTINGS, **_ORDERS}

# Where the service's name is NULL, netapi32 has none to ask; MS-SRVS has no need of it.
_SERVER_SERVICE: Final = "LanmanServer"
_HAS_BUFFER: Final = frozenset({codes.ERROR_SUCCESS, codes.ERROR_MORE_DATA})


class NetApi:
    """netapi32, or what stands in for it: an object with the functions as attributes, as ctypes loads a DLL."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def answer(self, request: Call[R]) -> R:
        """Make one call, and give its answer. Raises Win32Error 50 for a call that netapi32 has not, 87 for a string
        with a NUL in it or a number beyond 32 bits, MalformedMessage for memory that does not hold what it should."""
        kind = type(request)
        if kind not in FUNCTIONS:
            raise Win32Error(codes.ERROR_NOT_SUPPORTED, f"netapi32 has no call for {kind.__name__}")
        level = getattr(request, "level", None)
        if kind.levels and level not in kind.levels:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        asked: Any = request
        if kind is NetrSessionDel and not asked.client_name and not asked.user_name:
            # What Windows makes of it is documented nowhere, and might be everybody.
            return request.failed(codes.ERROR_INVALID_PARAMETER)
        if kind in _LISTS:
            return cast("R", self._list(request, _LISTS[kind]))
        if kind in _QUESTIONS:
            return cast("R", self._ask(request, _QUESTIONS[kind]))
        return cast("R", self._set(request, _SETTINGS[kind]) if kind in _SETTINGS else self._order(request))

    def _list(self, request: Any, function: _Function) -> Any:
        read, total = ctypes.c_uint32(), ctypes.c_uint32()
        resume = ctypes.c_uint64(request.resume_handle or 0)
        with _Buffer(self) as buffer:
            status = self._call(
                function.name,
                *(getattr(request, name) for name in function.fields),
                request.level,
                ctypes.byref(buffer.pointer),
                request.prefered_maximum_length,
                ctypes.byref(read),
                ctypes.byref(total),
                ctypes.byref(resume),
            )
            answer = request.failed(status)
            answer.total_entries, answer.resume_handle = total.value, resume.value
            if status in _HAS_BUFFER and function.levels is not None:
                address, count = buffer.pointer.value, read.value
                answer.entries = layout(function.levels, request.level).read(address, count) if address else []
            return answer

    def _ask(self, request: Any, function: _Function) -> Any:
        values = [getattr(request, name) for name in function.fields]
        if isinstance(request, NetrServerStatisticsGet):
            values[0] = request.service or _SERVER_SERVICE
        with _Buffer(self) as buffer:
            status = self._call(function.name, *values, ctypes.byref(buffer.pointer))
            answer = request.failed(status)
            if status == codes.ERROR_SUCCESS and buffer.pointer.value and function.levels is not None:
                level = getattr(request, "level", 0)
                (answer.info,) = layout(function.levels, level).read(buffer.pointer.value, 1)
            return answer

    def _set(self, request: Any, function: _Function) -> Any:
        if request.info is None or function.levels is None:
            return request.failed(codes.ERROR_INVALID_PARAMETER)
        # It has to stay in memory until the call is over.
        written = layout(function.levels, request.level).write(request.info)
        wrong = ctypes.c_uint32()
        values = [getattr(request, name) for name in function.fields]
        address = ctypes.c_void_p(written.address)
        answer = request.failed(self._call(function.name, *values, address, ctypes.byref(wrong)))
        answer.parm_err = wrong.value
        return answer

    def _order(self, request: Any) -> Any:
        function = _ORDERS[type(request)]
        return request.failed(self._call(function.name, *(getattr(request, name) for name in function.fields)))

    def _call(self, name: str, *arguments: Any) -> int:
        """Call a function with NULL for the server's name and then these: text or None, numbers, pointers."""
        values: list[Any] = [None]
        kinds: list[Any] = [ctypes.c_void_p]
        for argument in arguments:
            is_number = isinstance(argument, int)
            if is_number:
                check_number(argument)
            kinds.append(ctypes.c_uint32 if is_number else ctypes.c_void_p)
            values.append(_text(argument) if isinstance(argument, str) else argument)
        return cast("int", self._function(name, kinds)(*values))

    def _function(self, name: str, kinds: list[Any]) -> Any:
        """A function with its types declared. They are the same in every call, but for a number or pointer of none."""
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise Win32Error(codes.ERROR_NOT_SUPPORTED, f"this Windows has no {name}") from None
        function.restype, function.argtypes = ctypes.c_uint32, kinds
        return function

    def free(self, address: int) -> None:
        """Give back what a call has allocated."""
        self._function("NetApiBufferFree", [ctypes.c_void_p])(address)


class _Buffer:
    """The pointer that a call sets, NULL at first. What it points to is freed where the `with` ends."""

    def __init__(self, api: NetApi) -> None:
        self._api = api
        self.pointer = ctypes.c_void_p()

    def __enter__(self) -> _Buffer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pointer.value:
            self._api.free(self.pointer.value)


@functools.cache
def layout(levels: Levels[Any], level: int) -> Layout[Any]:
    """The structure of a level in this process."""
    return Layout(levels, level)


def _text(text: str) -> ctypes.Array[ctypes.c_char]:
    data = string_bytes(text)
    return ctypes.create_string_buffer(data, len(data))
