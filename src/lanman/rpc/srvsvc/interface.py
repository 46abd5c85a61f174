"""The interface `srvsvc` and the answers that several of its calls share (MS-SRVS 1.9 and 3.1.4)."""

from __future__ import annotations

from typing import Final

from lanman.rpc.ndr import Interface, Response, optional_u32, u32

SRVSVC: Final = Interface("srvsvc", "4b324fc8-1670-01d3-1278-5a47bf6ee188", 3)
MAX_PREFERRED_LENGTH: Final = 0xFFFFFFFF


class StatusResponse(Response):
    """The answer of a call that gives nothing but its outcome."""

    status: u32 = 0


class ParmErrResponse(Response):
    """The answer of a Set or Add call: on ERROR_INVALID_PARAMETER, `parm_err` is the number of the bad member."""

    parm_err: optional_u32 = None
    status: u32 = 0
