"""Calls of serial devices and of DFS: ERROR_NOT_SUPPORTED for every caller, as Windows answers since Server 2003."""

from __future__ import annotations

from lanman.rpc.srvsvc.chardev import (
    NetrCharDevControl,
    NetrCharDevEnum,
    NetrCharDevGetInfo,
    NetrCharDevQEnum,
    NetrCharDevQGetInfo,
    NetrCharDevQPurge,
    NetrCharDevQPurgeSelf,
    NetrCharDevQSetInfo,
)
from lanman.rpc.srvsvc.dfs import (
    NetrDfsCreateLocalPartition,
    NetrDfsDeleteExitPoint,
    NetrDfsDeleteLocalPartition,
    NetrDfsFixLocalVolume,
    NetrDfsGetVersion,
    NetrDfsModifyPrefix,
    NetrDfsSetLocalVolumeState,
)
from lanman.server.srvsvc.calls import declines

declines(
    NetrCharDevControl,
    NetrCharDevEnum,
    NetrCharDevGetInfo,
    NetrCharDevQEnum,
    NetrCharDevQGetInfo,
    NetrCharDevQPurge,
    NetrCharDevQPurgeSelf,
    NetrCharDevQSetInfo,
    NetrDfsCreateLocalPartition,
    NetrDfsDeleteExitPoint,
    NetrDfsDeleteLocalPartition,
    NetrDfsFixLocalVolume,
    NetrDfsGetVersion,
    NetrDfsModifyPrefix,
    NetrDfsSetLocalVolumeState,
    rights=None,
)
