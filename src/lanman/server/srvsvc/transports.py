"""Transports: NetrServerTransportEnum (MS-SRVS 3.1.4.24). There is one, SMB over TCP."""

from __future__ import annotations

from collections.abc import Generator

from lanman import codes
from lanman.domain import DIRECT_TCP, ServerService
from lanman.records import TransportInfo
from lanman.rpc.srvsvc.transports import TRANSPORT_INFO, NetrServerTransportEnum, NetrServerTransportEnumResponse
from lanman.server.rights import MANAGERS, Rights
from lanman.server.srvsvc.calls import CallContext, answers, listing
from lanman.server.srvsvc.server import FIXED_SETTINGS
from lanman.settings import Configuration


def transport_info(service: ServerService, configuration: Configuration) -> TransportInfo:
    """Every member of every level (MS-SRVS notes 30 and 31: a padded name, and no adapter's address)."""
    name = configuration.name.upper().encode("ascii", "replace")[:16]
    return TransportInfo(
        number_of_vcs=service.connection_count,
        name=DIRECT_TCP,
        address=name.ljust(16),
        network_address="000000000000",
        domain=FIXED_SETTINGS["domain"],
        flags=0,
    )


@answers(NetrServerTransportEnum, rights=Rights(MANAGERS))  # note 96
def server_transport_enum(
    context: CallContext, request: NetrServerTransportEnum
) -> Generator[None, None, NetrServerTransportEnumResponse]:
    """NetrServerTransportEnum (MS-SRVS 3.1.4.24)."""
    return listing(
        request,
        TRANSPORT_INFO,
        [transport_info(context.service, context.configuration)],
        lambda transport: transport,
        none_fits=codes.NERR_BufTooSmall,
    )
