"""What Windows tells of a service and of this process: advapi32 and kernel32 by ctypes.

Here GetLastError is the error of a function that returns zero, so the DLLs are loaded with `use_last_error`. Every
handle that is opened is closed, whatever happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from lanman import codes
from lanman.errors import AccessDenied, Win32Error
from lanman.manage.windows.layout import string_bytes
from lanman.manage.windows.services import ServicesApi

SERVER_SERVICE: Final = "LanmanServer"

# SERVICE_STATUS.dwCurrentState (winsvc.h)
STOPPED: Final = 1
START_PENDING: Final = 2
STOP_PENDING: Final = 3
RUNNING: Final = 4
CONTINUE_PENDING: Final = 5
PAUSE_PENDING: Final = 6
PAUSED: Final = 7

# The states in which the service answers. Paused, it takes no new sessions and keeps those that it has.
STARTED: Final = frozenset({RUNNING, PAUSED, CONTINUE_PENDING, PAUSE_PENDING})

_SC_MANAGER_CONNECT: Final = 0x0001
_SERVICE_QUERY_STATUS: Final = 0x0004
_SC_STATUS_PROCESS_INFO: Final = 0
_TOKEN_QUERY: Final = 0x0008
_TOKEN_ELEVATION_TYPE: Final = 18
_TOKEN_ELEVATION_TYPE_LIMITED: Final = 3


class ServiceStatusProcess(ctypes.Structure):
    """SERVICE_STATUS_PROCESS (winsvc.h)."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("controls_accepted", ctypes.c_uint32),
        ("win32_exit_code", ctypes.c_uint32),
        ("service_exit_code", ctypes.c_uint32),
        ("checkpoint", ctypes.c_uint32),
        ("wait_hint", ctypes.c_uint32),
        ("process_id", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]
    state: int


class System:
    """advapi32 and kernel32, or what stands in for them; `last_error` gives the error of what failed last."""

    def __init__(self, advapi32: Any, kernel32: Any, last_error: Callable[[], int]) -> None:
        self._advapi32 = advapi32
        self._kernel32 = kernel32
        self._last_error = last_error

    @property
    def services(self) -> ServicesApi:
        """The calls of MS-SCMR, answered by advapi32."""
        return ServicesApi(self._advapi32, self._last_error)

    def service_state(self, name: str = SERVER_SERVICE) -> int:
        """The state of a service: STOPPED, RUNNING and so on. Any user may ask. Raises Win32Error, 1060 for no such."""
        data = string_bytes(name)
        text = ctypes.create_string_buffer(data, len(data))
        pointer = ctypes.c_void_p
        open_manager = _declared(self._advapi32.OpenSCManagerW, pointer, pointer, pointer, ctypes.c_uint32)
        open_service = _declared(self._advapi32.OpenServiceW, pointer, pointer, pointer, ctypes.c_uint32)
        query = _declared(
            self._advapi32.QueryServiceStatusEx, ctypes.c_int, pointer, ctypes.c_int, pointer, ctypes.c_uint32, pointer
        )
        close = _declared(self._advapi32.CloseServiceHandle, ctypes.c_int, pointer)
        status, needed = ServiceStatusProcess(), ctypes.c_uint32()
        with (
            self._opened(open_manager(None, None, _SC_MANAGER_CONNECT), close) as manager,
            self._opened(open_service(manager, text, _SERVICE_QUERY_STATUS), close) as service,
        ):
            size = ctypes.sizeof(status)
            if not query(service, _SC_STATUS_PROCESS_INFO, ctypes.byref(status), size, ctypes.byref(needed)):
                raise self._error()
        return status.state

    def is_limited(self) -> bool:
        """Whether the user is an administrator whose rights this process has not: Administrators is in its token, and
        serves for denying alone, until the user runs it elevated. Raises Win32Error."""
        pointer = ctypes.c_void_p
        this_process = _declared(self._kernel32.GetCurrentProcess, pointer)
        close = _declared(self._kernel32.CloseHandle, ctypes.c_int, pointer)
        open_token = _declared(self._advapi32.OpenProcessToken, ctypes.c_int, pointer, ctypes.c_uint32, pointer)
        information = _declared(
            self._advapi32.GetTokenInformation, ctypes.c_int, pointer, ctypes.c_int, pointer, ctypes.c_uint32, pointer
        )
        token, kind, needed = pointer(), ctypes.c_uint32(), ctypes.c_uint32()
        opened = open_token(this_process(), _TOKEN_QUERY, ctypes.byref(token))
        with self._opened(token.value if opened else None, close) as handle:
            if not information(handle, _TOKEN_ELEVATION_TYPE, ctypes.byref(kind), 4, ctypes.byref(needed)):
                raise self._error()
        return kind.value == _TOKEN_ELEVATION_TYPE_LIMITED

    @contextlib.contextmanager
    def _opened(self, handle: int | None, close: Callable[[int], int]) -> Iterator[int]:
        """A handle that was opened, to be closed at the end. Raises Win32Error where there is none."""
        if not handle:
            raise self._error()
        try:
            yield handle
        finally:
            close(handle)

    def _error(self) -> Win32Error:
        error = self._last_error()
        return AccessDenied() if error == codes.ERROR_ACCESS_DENIED else Win32Error(error)


def _declared(function: Any, result: Any, *arguments: Any) -> Any:
    """A function with its types. Without them, a handle would be cut to 32 bits."""
    function.restype, function.argtypes = result, arguments
    return function


def this_system() -> System:
    """This Windows. Raises Win32Error 50 elsewhere."""
    if sys.platform != "win32":
        raise not_windows()
    advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    return System(advapi32, ctypes.WinDLL("kernel32", use_last_error=True), ctypes.get_last_error)


def this_netapi32() -> Any:
    """netapi32 of this Windows. Raises Win32Error 50 elsewhere."""
    if sys.platform != "win32":
        raise not_windows()
    return ctypes.WinDLL("netapi32")


def not_windows() -> Win32Error:
    """What to say where Windows' Server service is asked for on another system."""
    return Win32Error(
        codes.ERROR_NOT_SUPPORTED,
        "this machine is no Windows, and has no Server service of Windows",
        hint="ask a Windows over the network: --server NAME -U USER",
    )
