"""Tree connects: NetrConnectionEnum (MS-SRVS 3.1.4.1)."""

from __future__ import annotations

from collections.abc import Generator

from lanman import codes
from lanman.domain import TreeConnect
from lanman.records import ConnectionInfo
from lanman.rpc.srvsvc.connections import CONNECTION_INFO, NetrConnectionEnum, NetrConnectionEnumResponse
from lanman.server.rights import ALL_OPERATORS, Rights
from lanman.server.srvsvc.calls import CallContext, CallRefused, answers, listing, require_lengths


def connection_info(tree: TreeConnect, now: float, *, net_name: str) -> ConnectionInfo:
    """Every member of every level (MS-SMB2 3.3.4.19): a tree connect has one user."""
    return ConnectionInfo(
        tree.global_id,
        tree.share.type,
        tree.open_count,
        1,
        tree.active_seconds(now),
        tree.session.user_name,
        net_name,
    )


def _check_qualifier(request: NetrConnectionEnum) -> None:
    require_lengths(request.qualifier)
    if not request.qualifier:
        raise CallRefused(codes.ERROR_INVALID_PARAMETER)


@answers(NetrConnectionEnum, rights=Rights(ALL_OPERATORS), check=_check_qualifier)  # note 44
def connection_enum(
    context: CallContext, request: NetrConnectionEnum
) -> Generator[None, None, NetrConnectionEnumResponse]:
    r"""NetrConnectionEnum (MS-SRVS 3.1.4.1): the tree connects of a `\\client`, each with the name of its share; or
    those to a share, each with the name of its client."""
    qualifier = request.qualifier or ""
    now = context.now
    if qualifier.startswith("\\\\"):
        meant = set(context.service.select_sessions(qualifier))
        return listing(
            request,
            CONNECTION_INFO,
            context.service.tree_connects(),
            lambda tree: connection_info(tree, now, net_name=tree.share.name),
            lambda tree: tree.session in meant,
        )
    share = context.service.share_by_name(qualifier)
    return listing(
        request,
        CONNECTION_INFO,
        context.service.tree_connects(),
        lambda tree: connection_info(tree, now, net_name=tree.session.client_name),
        lambda tree: tree.share is share,
    )
