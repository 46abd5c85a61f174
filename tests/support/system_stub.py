"""advapi32 and kernel32 of the tests' own: C functions by ctypes that count the handles they give away."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from lanman.manage.windows.system import System

_P, _D, _I = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int

# Handles of 64-bit Windows may use more than 32 bits.
_FIRST_HANDLE = 0x7000_0000_1000


class SystemStub:
    """One service with a state, and one process with a token of an elevation type (1 default, 2 full, 3 limited).

    `fail` has what the named functions fail with. `handles` are those that are open, `faults` what was done wrong.
    """

    def __init__(self, *, state: int = 4, elevation: int = 2, service: str = "LanmanServer") -> None:
        self.state, self.elevation, self.service = state, elevation, service
        self.fail: dict[str, int] = {}
        self.handles: dict[int, str] = {}
        self.faults: list[str] = []
        self.error = 0
        self._next = _FIRST_HANDLE
        self.OpenSCManagerW = self._function(_P, [_P, _P, _D], self._open_manager)
        self.OpenServiceW = self._function(_P, [_P, _P, _D], self._open_service)
        self.QueryServiceStatusEx = self._function(_I, [_P, _I, _P, _D, _P], self._query)
        self.CloseServiceHandle = self._function(_I, [_P], self._close)
        self.GetCurrentProcess = self._function(_P, [], lambda: ctypes.c_void_p(-1).value)
        self.OpenProcessToken = self._function(_I, [_P, _D, _P], self._open_token)
        self.GetTokenInformation = self._function(_I, [_P, _I, _P, _D, _P], self._information)
        self.CloseHandle = self._function(_I, [_P], self._close)

    @property
    def system(self) -> System:
        """This stub as lanman sees Windows."""
        return System(self, self, lambda: self.error)

    def _function(self, result: Any, arguments: Sequence[Any], body: Callable[..., Any]) -> Any:
        return ctypes.CFUNCTYPE(result, *arguments)(body)

    def _fails(self, name: str) -> bool:
        self.error = self.fail.get(name, 0)
        return self.error != 0

    def _opened(self, kind: str) -> int:
        self._next += 0x10
        self.handles[self._next] = kind
        return self._next

    def _is(self, handle: int | None, kind: str) -> bool:
        if handle is None or self.handles.get(handle) != kind:
            self.faults.append(f"{handle} is no {kind}")
            return False
        return True

    def _open_manager(self, machine: int | None, database: int | None, access: int) -> int:
        assert (machine, database, access) == (None, None, 1)
        return 0 if self._fails("OpenSCManagerW") else self._opened("manager")

    def _open_service(self, manager: int, name: int, access: int) -> int:
        if not self._is(manager, "manager") or self._fails("OpenServiceW"):
            return 0
        text = self.service.encode("utf-16-le") + b"\0\0"
        if ctypes.string_at(name, len(text)) != text:
            self.error = 1060
            return 0
        assert access == 4
        return self._opened("service")

    def _query(self, service: int, information: int, out: int, size: int, needed: int) -> int:
        if not self._is(service, "service") or self._fails("QueryServiceStatusEx"):
            return 0
        assert (information, size) == (0, 36)
        (ctypes.c_uint32 * 9).from_address(out)[1] = self.state
        ctypes.c_uint32.from_address(needed).value = size
        return 1

    def _open_token(self, process: int, access: int, out: int) -> int:
        assert (process, access) == (ctypes.c_void_p(-1).value, 8)
        if self._fails("OpenProcessToken"):
            return 0
        ctypes.c_uint64.from_address(out).value = self._opened("token")
        return 1

    def _information(self, token: int, kind: int, out: int, size: int, needed: int) -> int:
        if not self._is(token, "token") or self._fails("GetTokenInformation"):
            return 0
        assert (kind, size) == (18, 4)
        ctypes.c_uint32.from_address(out).value = self.elevation
        ctypes.c_uint32.from_address(needed).value = size
        return 1

    def _close(self, handle: int) -> int:
        if self.handles.pop(handle, None) is None:
            self.faults.append(f"{handle} closed, but not open")
            return 0
        # A success may leave an error of its own behind.
        self.error = 6
        return 1
