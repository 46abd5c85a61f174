"""The distributed file system: the calls NetrDfs* (MS-SRVS 3.1.4.35 to 3.1.4.42).

Windows has answered none of them since Server 2003. They are declared so that a client gets an answer, not a fault.
"""

from __future__ import annotations

from lanman.rpc.ndr import Call, Response, rest, string, u32
from lanman.rpc.srvsvc.interface import SRVSVC, StatusResponse


class NetrDfsGetVersionResponse(Response):
    version: u32 = 0
    status: u32 = 0


@SRVSVC.call(43)
class NetrDfsGetVersion(Call[NetrDfsGetVersionResponse]):
    """The version of DFS that the server has (MS-SRVS 3.1.4.35)."""

    server_name: string


class DfsCall(Call[StatusResponse]):
    """A DFS call that no server answers but by ERROR_NOT_SUPPORTED. Its parameters are not read."""

    server_name: string
    parameters: rest = b""


@SRVSVC.call(44)
class NetrDfsCreateLocalPartition(DfsCall):
    """MS-SRVS 3.1.4.36."""


@SRVSVC.call(45)
class NetrDfsDeleteLocalPartition(DfsCall):
    """MS-SRVS 3.1.4.37."""


@SRVSVC.call(46)
class NetrDfsSetLocalVolumeState(DfsCall):
    """MS-SRVS 3.1.4.38."""


@SRVSVC.call(50)
class NetrDfsModifyPrefix(DfsCall):
    """MS-SRVS 3.1.4.40."""


@SRVSVC.call(49)
class NetrDfsDeleteExitPoint(DfsCall):
    """MS-SRVS 3.1.4.41."""


@SRVSVC.call(51)
class NetrDfsFixLocalVolume(DfsCall):
    """MS-SRVS 3.1.4.42."""
