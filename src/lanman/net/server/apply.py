"""What a configuration means to the domain and to dispatch."""

from __future__ import annotations

import socket
from typing import Any

from lanman.domain import STYPE_DISKTREE, Share
from lanman.names import fold
from lanman.net.configuration import Configuration, ShareConfiguration
from lanman.net.descriptors import Descriptors
from lanman.server.dispatch import Limits, Settings
from lanman.server.watch import NOT_LOOKED_AT


def share_of(name: str, configuration: ShareConfiguration) -> Share:
    """A folder of the configuration, as the domain has it."""
    return Share(
        name,
        STYPE_DISKTREE,
        path=configuration.path,
        remark=configuration.comment,
        max_users=configuration.max_users,
        hidden=configuration.hidden,
        readers=None if configuration.read is None else frozenset(configuration.read),
        writers=None if configuration.write is None else frozenset(configuration.write),
        guest=configuration.guest,
        encrypt_data=configuration.encryption,
        device_names=configuration.windows_names == "allow",
        confined=configuration.confined,
        problem=NOT_LOOKED_AT,
    )


def place_of(share: Share) -> tuple[object, ...]:
    """What cannot be changed while a share is in use."""
    return share.name, share.path, share.encrypt_data, share.confined


def changeable(configuration: Configuration) -> dict[str, Any]:
    """What of the configuration management may see and change, and a reload too."""
    return {
        "comment": configuration.comment,
        "hidden": configuration.hidden,
        "autodisconnect": configuration.autodisconnect,
        "max_sessions": configuration.max_sessions,
        "sessions_per_connection": configuration.limits.sessions_per_connection,
        "tree_connects_per_session": configuration.limits.tree_connects_per_session,
        "opens_per_session": configuration.limits.opens_per_session,
    }


def wire_settings(configuration: Configuration, name: str, descriptors: Descriptors) -> Settings:
    return Settings(
        server_name=name,
        dns_name=socket.gethostname().lower(),
        signing_required=configuration.signing == "required",
        encryption=configuration.encryption,
        guest=configuration.guest,
        null_pipes=frozenset(pipe.lower() for pipe in configuration.null_sessions.pipes),
        null_shares=frozenset(fold(share) for share in configuration.null_sessions.shares),
        filesystem_name=configuration.filesystem_name,
        share_roots=configuration.share_roots,
        end_sessions_of_removed_accounts=configuration.end_sessions_of_removed_accounts,
        limits=Limits(
            unauthenticated=configuration.limits.unauthenticated,
            unauthenticated_per_address=configuration.limits.unauthenticated_per_address,
            # Nobody who has a session is sent away, so those without a name must leave room for those that have one.
            anonymous=min(configuration.limits.anonymous, max(1, descriptors.connections // 2)),
            anonymous_per_address=configuration.limits.anonymous_per_address,
            connections=descriptors.connections,
        ),
    )
