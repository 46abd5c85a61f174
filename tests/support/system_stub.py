"""advapi32 and kernel32 of the tests' own: C functions by ctypes that count the handles they give away."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from lanman.manage.windows.layout import read_string
from lanman.manage.windows.system import System
from support.service_script import ServiceDatabase

_P, _D, _I = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int

# Handles of 64-bit Windows may use more than 32 bits.
_FIRST_HANDLE = 0x7000_0000_1000


class SystemStub:
    """The services of `database`, and one process with a token of an elevation type (1 default, 2 full, 3 limited).

    `fail` has what the named functions fail with. `handles` are those that are open, `faults` what was done wrong.
    """

    def __init__(self, *, state: int = 4, elevation: int = 2, service: str = "LanmanServer") -> None:
        self.database = ServiceDatabase()
        self.database["LanmanServer"].name = service
        self._service = service
        self.state = state
        self.elevation = elevation
        self.elevated = True  # whether it may change a service
        self.fail: dict[str, int] = {}
        self.handles: dict[int, str] = {}
        self.faults: list[str] = []
        self.error = 0
        self._next = _FIRST_HANDLE
        self.OpenSCManagerW = self._function(_P, [_P, _P, _D], self._open_manager)
        self.OpenServiceW = self._function(_P, [_P, _P, _D], self._open_service)
        self.QueryServiceStatus = self._function(_I, [_P, _P], self._query_status)
        self.ControlService = self._function(_I, [_P, _D, _P], self._control)
        self.StartServiceW = self._function(_I, [_P, _D, _P], self._start)
        self.EnumDependentServicesW = self._function(_I, [_P, _D, _P, _D, _P, _P], self._dependents)
        self.QueryServiceStatusEx = self._function(_I, [_P, _I, _P, _D, _P], self._query)
        self.CloseServiceHandle = self._function(_I, [_P], self._close)
        self.GetCurrentProcess = self._function(_P, [], lambda: ctypes.c_void_p(-1).value)
        self.OpenProcessToken = self._function(_I, [_P, _D, _P], self._open_token)
        self.GetTokenInformation = self._function(_I, [_P, _I, _P, _D, _P], self._information)
        self.CloseHandle = self._function(_I, [_P], self._close)

    @property
    def state(self) -> int:
        """What the Server service does."""
        return self.database[self._service].state

    @state.setter
    def state(self, state: int) -> None:
        self.database[self._service].state = state

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
        found = self.database.find(read_string(name) or "")
        if found is None:
            self.error = 1060
            return 0
        # QUERY_STATUS and ENUMERATE_DEPENDENTS are everybody's; START, STOP and PAUSE_CONTINUE not.
        if access & ~0x7C or (access & 0x70 and not self.elevated):
            self.error = 5
            return 0
        return self._opened(f"service {access:#x} {found.name}")

    def _service_of(self, handle: int | None, access: int) -> str | None:
        """The service that a handle is of, if it was opened with that right."""
        word, _, rest = self.handles.get(handle or 0, "").partition(" ")
        rights, _, name = rest.partition(" ")
        if word != "service" or not int(rights, 16) & access:
            self.faults.append(f"{handle} is no service, or has not the right {access:#x}")
            self.error = 6
            return None
        return name

    def _query(self, service: int, information: int, out: int, size: int, needed: int) -> int:
        name = self._service_of(service, 4)
        if name is None or self._fails("QueryServiceStatusEx"):
            return 0
        assert (information, size) == (0, 36)
        (ctypes.c_uint32 * 9).from_address(out)[1] = self.database[name].state
        ctypes.c_uint32.from_address(needed).value = size
        return 1

    def _query_status(self, service: int, out: int) -> int:
        name = self._service_of(service, 4)
        if name is None or self._fails("QueryServiceStatus"):
            return 0
        found = self.database.query(name)
        (_D * 7).from_address(out)[:] = [0x20, found.state, found.accepts, 0, 0, 0, found.wait_hint]
        return 1

    def _control(self, service: int, code: int, out: int) -> int:
        name = self._service_of(service, {1: 0x20, 2: 0x40, 3: 0x40}[code])
        if name is None or self._fails("ControlService"):
            return 0
        self.error = self.database.control(name, code)
        (_D * 7).from_address(out)[1] = self.database[name].state
        return int(self.error == 0)

    def _start(self, service: int, count: int, arguments: int | None) -> int:
        assert (count, arguments) == (0, None)
        name = self._service_of(service, 0x10)
        if name is None or self._fails("StartServiceW"):
            return 0
        self.error = self.database.start(name)
        return int(self.error == 0)

    def _dependents(self, service: int, state: int, out: int, size: int, needed: int, returned: int) -> int:
        assert state == 1
        name = self._service_of(service, 8)
        if name is None or self._fails("EnumDependentServicesW"):
            return 0
        found = self.database.dependents(name)
        texts = [f"{text}\0".encode("utf-16-le") for each in found for text in (each.name, each.display_name)]
        whole = 48 * len(found) + sum(map(len, texts))
        if whole > size:
            self.error = 234
            _D.from_address(needed).value, _D.from_address(returned).value = whole, 0
            return 0
        at = out + 48 * len(found)
        for number, each in enumerate(found):
            for place, text in enumerate(texts[2 * number : 2 * number + 2]):
                ctypes.memmove(at, text, len(text))
                ctypes.c_uint64.from_address(out + 48 * number + 8 * place).value = at
                at += len(text)
            (_D * 7).from_address(out + 48 * number + 16)[:] = [0x20, each.state, each.accepts, 0, 0, 0, 0]
        _D.from_address(needed).value, _D.from_address(returned).value = 0, len(found)
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
