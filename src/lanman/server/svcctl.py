r"""What answers `\PIPE\svcctl`: the Server service as a service, to be asked, paused and continued (MS-SCMR 3.1.4).

The rules:

* There is one service, LanmanServer. It is paused and continued here; it is not stopped, since nothing would be left to
  start it again (Windows' services are started by a process of their own), and says so in the controls that it accepts.
* Administrators alone may do anything here, as whom the accounts know them when the call runs. Windows gives remote
  users no right to the service unless they are administrators ("Service Security and Access Rights"), and since its
  version 1709 demands that of whoever pauses one, whatever the service's descriptor says (KB 4457739).
* A handle carries the rights that it was opened with, and is of one association, which has a ServiceControlEndpoint of
  its own. At most MAX_HANDLES are open on it. One that is closed, of another association, or of the other kind is
  ERROR_INVALID_HANDLE.
* No buffer is longer than the caller asked for, nor than MS-SCMR allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lanman import codes
from lanman.domain import ServerService
from lanman.names import ADMINISTRATORS, fold
from lanman.plain import dataclass
from lanman.records import ServiceState
from lanman.rpc import svcctl as scm
from lanman.rpc.ndr import Call
from lanman.server.rights import Caller, Rights

MAX_HANDLES: Final = 64
"""Handles that one association may have open."""

_RIGHTS: Final = Rights((ADMINISTRATORS,))

# What a service is opened with, beside rights that are named one by one.
_MAXIMUM_ALLOWED: Final = 0x02000000
_GENERIC: Final = 0xF0000000

_NUMBERS: Final = {state: number for number, state in scm.STATES.items()}

# MS-SCMR 2.2.15: dwStartType and dwErrorControl. Who starts a lanman Server is not known here: somebody, on demand.
_DEMAND_START: Final = 3
_ERROR_NORMAL: Final = 1

_CONTROL_RIGHTS: Final = {
    scm.SERVICE_CONTROL_STOP: scm.SERVICE_STOP,
    scm.SERVICE_CONTROL_PAUSE: scm.SERVICE_PAUSE_CONTINUE,
    scm.SERVICE_CONTROL_CONTINUE: scm.SERVICE_PAUSE_CONTINUE,
    scm.SERVICE_CONTROL_INTERROGATE: scm.SERVICE_INTERROGATE,
    **dict.fromkeys(range(128, 256), scm.SERVICE_USER_DEFINED_CONTROL),
}


class _Refused(Exception):
    """The call ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Handle:
    """What was opened: the service, or the database of services; and with which rights."""

    is_service: bool
    access: int


class ServiceControlEndpoint:
    """The calls of one association. `random(n)` gives n unpredictable bytes: handles are told apart by them."""

    def __init__(self, service: ServerService, random: Callable[[int], bytes]) -> None:
        self._service = service
        self._random = random
        self._handles: dict[bytes, _Handle] = {}

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        """ERROR_ACCESS_DENIED for who is no administrator; anybody may close what was open."""
        if call is scm.RCloseServiceHandle or _RIGHTS.allow(caller):
            return 0
        return codes.ERROR_ACCESS_DENIED

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """The response to a request of svcctl."""
        try:
            return _ANSWERS[type(request)](self, caller, request)
        except _Refused as refused:
            response = request.failed(refused.code)
            if hasattr(response, "buffer"):
                response.buffer = bytes(request.buffer_size)  # the buffer comes back whatever is in it
            return response

    # --- handles

    def _open(self, handle: _Handle) -> bytes:
        if len(self._handles) >= MAX_HANDLES:
            raise _Refused(codes.ERROR_NOT_ENOUGH_MEMORY)
        number = bytes(4) + self._random(scm.HANDLE_SIZE - 4)
        self._handles[number] = handle
        return number

    def _need(self, number: bytes, access: int, *, service: bool = True) -> None:
        """Raise _Refused unless that is a handle of that kind with these rights."""
        handle = self._handles.get(number)
        if handle is None or handle.is_service != service:
            raise _Refused(codes.ERROR_INVALID_HANDLE)
        if handle.access & access != access:
            raise _Refused(codes.ERROR_ACCESS_DENIED)

    def _open_manager(self, caller: Caller, request: scm.ROpenSCManagerW) -> scm.ROpenSCManagerWResponse:
        # 3.1.4.15: the other database is that of before the last start that failed; there is none.
        if request.database_name and fold(request.database_name) != fold("ServicesActive"):
            raise _Refused(codes.ERROR_DATABASE_DOES_NOT_EXIST)
        access = _granted(request.desired_access, scm.SC_MANAGER_ALL_ACCESS)
        return scm.ROpenSCManagerWResponse(self._open(_Handle(False, access)))

    def _open_service(self, caller: Caller, request: scm.ROpenServiceW) -> scm.ROpenServiceWResponse:
        self._need(request.sc_handle, 0, service=False)
        if fold(request.service_name) != fold(scm.SERVER_SERVICE):
            raise _Refused(codes.ERROR_SERVICE_DOES_NOT_EXIST)
        access = _granted(request.desired_access, scm.SERVICE_ALL_ACCESS)
        return scm.ROpenServiceWResponse(self._open(_Handle(True, access)))

    def _close(self, caller: Caller, request: scm.RCloseServiceHandle) -> scm.RCloseServiceHandleResponse:
        if self._handles.pop(request.sc_handle, None) is None:
            raise _Refused(codes.ERROR_INVALID_HANDLE)
        return scm.RCloseServiceHandleResponse()

    # --- questions

    @property
    def _status(self) -> scm.ServiceStatus:
        state = ServiceState.PAUSED if self._service.paused else ServiceState.RUNNING
        if self._service.stopped:
            state = ServiceState.STOPPED
        accepted = 0 if self._service.stopped else scm.SERVICE_ACCEPT_PAUSE_CONTINUE
        return scm.ServiceStatus(scm.SERVICE_WIN32_OWN_PROCESS, _NUMBERS[state], accepted)

    def _query(self, caller: Caller, request: scm.RQueryServiceStatus) -> scm.RQueryServiceStatusResponse:
        self._need(request.sc_handle, scm.SERVICE_QUERY_STATUS)
        return scm.RQueryServiceStatusResponse(*self._status.values())

    def _query_ex(self, caller: Caller, request: scm.RQueryServiceStatusEx) -> scm.RQueryServiceStatusExResponse:
        self._need(request.sc_handle, scm.SERVICE_QUERY_STATUS)
        if request.info_level != scm.SC_STATUS_PROCESS_INFO:
            raise _Refused(codes.ERROR_INVALID_LEVEL)
        status = scm.pack_status_process(self._status)
        fits = len(status) <= request.buffer_size
        return scm.RQueryServiceStatusExResponse(
            _filled(status, request.buffer_size), len(status), 0 if fits else codes.ERROR_INSUFFICIENT_BUFFER
        )

    def _configuration(self, caller: Caller, request: scm.RQueryServiceConfigW) -> scm.RQueryServiceConfigWResponse:
        self._need(request.sc_handle, scm.SERVICE_QUERY_CONFIG)
        config = scm.ServiceConfig(
            scm.SERVICE_WIN32_OWN_PROCESS, _DEMAND_START, _ERROR_NORMAL, "lanman serve", "", 0, "", "", "Server"
        )
        texts = [value for name in type(config).__dataclass_fields__ if isinstance(value := getattr(config, name), str)]
        needed = 36 + sum(2 * len(text) + 2 for text in texts)  # nine members of 32 bits, and the strings
        if request.buffer_size < needed:
            return scm.RQueryServiceConfigWResponse(bytes_needed=needed, status=codes.ERROR_INSUFFICIENT_BUFFER)
        return scm.RQueryServiceConfigWResponse(config, needed)

    def _dependents(self, caller: Caller, request: scm.REnumDependentServicesW) -> scm.REnumDependentServicesWResponse:
        self._need(request.sc_handle, scm.SERVICE_ENUMERATE_DEPENDENTS)
        if request.service_state not in (1, 2, 3):
            raise _Refused(codes.ERROR_INVALID_PARAMETER)
        return scm.REnumDependentServicesWResponse(bytes(request.buffer_size))

    def _services(self, caller: Caller, request: scm.REnumServicesStatusW) -> scm.REnumServicesStatusWResponse:
        self._need(request.sc_handle, scm.SC_MANAGER_ENUMERATE_SERVICE, service=False)
        if request.service_state not in (1, 2, 3) or not request.service_type:
            raise _Refused(codes.ERROR_INVALID_PARAMETER)
        status = self._status
        active = scm.SERVICE_INACTIVE if self._service.stopped else scm.SERVICE_ACTIVE
        meant = request.service_type & status.service_type and request.service_state & active
        found = [scm.ServiceEntry(scm.SERVER_SERVICE, "Server", status)] if meant else []
        packed = scm.pack_services(found[request.resume_index or 0 :])
        fits = len(packed) <= request.buffer_size
        index = None if request.resume_index is None else 0 if fits else request.resume_index
        return scm.REnumServicesStatusWResponse(
            _filled(packed, request.buffer_size),
            0 if fits else len(packed),
            len(found[request.resume_index or 0 :]) if fits else 0,
            index,
            0 if fits else codes.ERROR_MORE_DATA,
        )

    # --- orders

    def _control(self, caller: Caller, request: scm.RControlService) -> scm.RControlServiceResponse:
        if (access := _CONTROL_RIGHTS.get(request.control)) is None:
            raise _Refused(codes.ERROR_INVALID_PARAMETER)
        self._need(request.sc_handle, access)
        who = (caller.session.client_name if caller.session is not None else ""), caller.user_name
        refusal = 0
        if self._service.stopped:
            refusal = codes.ERROR_SERVICE_NOT_ACTIVE
        elif request.control == scm.SERVICE_CONTROL_PAUSE:
            self._service.pause(*who)
        elif request.control == scm.SERVICE_CONTROL_CONTINUE:
            self._service.continue_(*who)
        elif request.control != scm.SERVICE_CONTROL_INTERROGATE:
            refusal = codes.ERROR_INVALID_SERVICE_CONTROL
        response = scm.RControlServiceResponse(*self._status.values())
        response.status = refusal
        return response

    def _start(self, caller: Caller, request: scm.RStartServiceW) -> scm.RStartServiceWResponse:
        self._need(request.sc_handle, scm.SERVICE_START)
        return scm.RStartServiceWResponse(codes.ERROR_SERVICE_ALREADY_RUNNING)


_ANSWERS: Final[dict[type, Callable[[ServiceControlEndpoint, Caller, Any], Any]]] = {
    scm.RCloseServiceHandle: ServiceControlEndpoint._close,
    scm.RControlService: ServiceControlEndpoint._control,
    scm.RQueryServiceStatus: ServiceControlEndpoint._query,
    scm.REnumDependentServicesW: ServiceControlEndpoint._dependents,
    scm.REnumServicesStatusW: ServiceControlEndpoint._services,
    scm.ROpenSCManagerW: ServiceControlEndpoint._open_manager,
    scm.ROpenServiceW: ServiceControlEndpoint._open_service,
    scm.RQueryServiceConfigW: ServiceControlEndpoint._configuration,
    scm.RStartServiceW: ServiceControlEndpoint._start,
    scm.RQueryServiceStatusEx: ServiceControlEndpoint._query_ex,
}


def _granted(desired: int, everything: int) -> int:
    """The rights of a handle: those that were asked for, and all of them where a general word was."""
    return everything if desired & (_MAXIMUM_ALLOWED | _GENERIC) else desired & everything


def _filled(data: bytes, size: int) -> bytes:
    """A buffer of that size with the data in it; only zeros where they do not fit."""
    return data + bytes(size - len(data)) if len(data) <= size else bytes(size)
