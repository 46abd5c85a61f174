"""One call of MS-SCMR as one call of advapi32: the same requests, the same answers, and no byte on any wire.

    api = ServicesApi(ctypes.WinDLL("advapi32", use_last_error=True), ctypes.get_last_error)
    answer = api.answer(ROpenSCManagerW(None, None, SC_MANAGER_CONNECT))     # an ROpenSCManagerWResponse

Rules:

  - The machine's name is always NULL: the services of this machine, as the user whom this process runs as.
  - A handle is the pointer that Windows gave, in the place of the UUID that a server would give. Whoever opened it
    closes it.
  - A function that returns zero has failed, and GetLastError says why, in the thread that called it. That is the status
    of the answer, and never raised. A call that there is not is Win32Error 50.
  - What stands in a buffer of this process has pointers in it, and goes into the answer as it would come from a server.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.windows.layout import POINTER_SIZE, read_string, string_bytes
from lanman.rpc import svcctl as scm
from lanman.rpc.ndr import Call, Response

R = TypeVar("R", bound=Response)

_P, _D, _I = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
_Numbers: Final = _D * 7

# No machine has services by the thousand that depend on one of its own.
_MAX_LIST: Final = 1 << 20


class _Entry(ctypes.Structure):
    """ENUM_SERVICE_STATUSW (winsvc.h)."""

    _fields_ = [("name", _P), ("display_name", _P), ("status", _Numbers)]


class ServicesApi:
    """advapi32, or what stands in for it; `last_error` gives the error of what failed last in this thread."""

    def __init__(self, advapi32: Any, last_error: Callable[[], int]) -> None:
        self._advapi32 = advapi32
        self._last_error = last_error

    def answer(self, request: Call[R]) -> R:
        """Make one call, and give its answer. Blocks. Raises Win32Error 50 for a call that is not made here, 87 for a
        name with a NUL in it."""
        answers: dict[type, Callable[[Any], Any]] = {
            scm.ROpenSCManagerW: self._open_manager,
            scm.ROpenServiceW: self._open_service,
            scm.RCloseServiceHandle: self._close,
            scm.RQueryServiceStatus: self._query,
            scm.RControlService: self._control,
            scm.RStartServiceW: self._start,
            scm.REnumDependentServicesW: self._dependents,
        }
        if (make := answers.get(type(request))) is None:
            raise Win32Error(codes.ERROR_NOT_SUPPORTED, f"advapi32 is not asked for {type(request).__name__}")
        return cast("R", make(request))

    def _call(self, name: str, result: Any, kinds: tuple[Any, ...], *arguments: Any) -> int:
        """What a function returns, its types declared: a handle would be cut to 32 bits without."""
        function = getattr(self._advapi32, name)
        function.restype, function.argtypes = result, kinds
        return function(*arguments) or 0

    def _status(self, returned: int) -> int:
        return codes.ERROR_SUCCESS if returned else self._last_error()

    def _open_manager(self, request: scm.ROpenSCManagerW) -> scm.ROpenSCManagerWResponse:
        opened = self._call("OpenSCManagerW", _P, (_P, _P, _D), None, None, request.desired_access)
        return scm.ROpenSCManagerWResponse(_as_handle(opened), self._status(opened))

    def _open_service(self, request: scm.ROpenServiceW) -> scm.ROpenServiceWResponse:
        data = string_bytes(request.service_name)
        name = ctypes.create_string_buffer(data, len(data))
        opened = self._call("OpenServiceW", _P, (_P, _P, _D), _pointer(request.sc_handle), name, request.desired_access)
        return scm.ROpenServiceWResponse(_as_handle(opened), self._status(opened))

    def _close(self, request: scm.RCloseServiceHandle) -> scm.RCloseServiceHandleResponse:
        done = self._call("CloseServiceHandle", _I, (_P,), _pointer(request.sc_handle))
        return scm.RCloseServiceHandleResponse(scm.NO_HANDLE, self._status(done))

    def _query(self, request: scm.RQueryServiceStatus) -> scm.RQueryServiceStatusResponse:
        status = _Numbers()
        done = self._call("QueryServiceStatus", _I, (_P, _P), _pointer(request.sc_handle), ctypes.byref(status))
        response = scm.RQueryServiceStatusResponse(*status)
        response.status = self._status(done)
        return response

    def _control(self, request: scm.RControlService) -> scm.RControlServiceResponse:
        status = _Numbers()
        done = self._call(
            "ControlService",
            _I,
            (_P, _D, _P),
            _pointer(request.sc_handle),
            request.control,
            ctypes.byref(status),
        )
        response = scm.RControlServiceResponse(*status)
        response.status = self._status(done)
        return response

    def _start(self, request: scm.RStartServiceW) -> scm.RStartServiceWResponse:
        done = self._call("StartServiceW", _I, (_P, _D, _P), _pointer(request.sc_handle), 0, None)
        return scm.RStartServiceWResponse(self._status(done))

    def _dependents(self, request: scm.REnumDependentServicesW) -> scm.REnumDependentServicesWResponse:
        size, needed, returned = 0, _D(), _D()
        while True:
            buffer = ctypes.create_string_buffer(max(size, 1))
            done = self._call(
                "EnumDependentServicesW",
                _I,
                (_P, _D, _P, _D, _P, _P),
                _pointer(request.sc_handle),
                request.service_state,
                buffer,
                size,
                ctypes.byref(needed),
                ctypes.byref(returned),
            )
            status = self._status(done)
            if status != codes.ERROR_MORE_DATA or not size < needed.value <= _MAX_LIST:
                break
            size = needed.value
        if status:
            return scm.REnumDependentServicesWResponse(bytes(request.buffer_size), 0, 0, status)
        entries = [_copied(entry) for entry in (_Entry * returned.value).from_buffer(buffer)] if returned.value else []
        packed = scm.pack_services(entries)
        if len(packed) > request.buffer_size:
            return scm.REnumDependentServicesWResponse(
                bytes(request.buffer_size), len(packed), 0, codes.ERROR_MORE_DATA
            )
        return scm.REnumDependentServicesWResponse(packed, 0, len(entries))


def _copied(entry: _Entry) -> scm.ServiceEntry:
    status = scm.ServiceStatus(*entry.status)
    return scm.ServiceEntry(read_string(entry.name or 0) or "", read_string(entry.display_name or 0) or "", status)


def _as_handle(pointer: int) -> bytes:
    return bytes(4) + pointer.to_bytes(POINTER_SIZE, "little").ljust(scm.HANDLE_SIZE - 4, b"\0")


def _pointer(handle: bytes) -> int:
    return int.from_bytes(handle[4 : 4 + POINTER_SIZE], "little")
