"""Who is at the other end of a Unix-domain socket."""

from __future__ import annotations

import socket
import struct
import sys


def peer_of(sock: socket.socket) -> int:
    """The user id of the process at the other end of a Unix-domain socket, by the kernel's word."""
    if sys.platform == "darwin":
        # struct xucred (sys/ucred.h) is what getpeereid() reads: version, uid, number of groups, 16 groups.
        SOL_LOCAL, LOCAL_PEERCRED = 0, 0x001
        version, uid = struct.unpack_from("=II", sock.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, 76))
        if version != 0:
            raise OSError("the kernel's peer credentials are of a version that is not known")
        return int(uid)
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def user_name_of(uid: int) -> str:
    """The name of a user of this machine; its number where it has none."""
    if sys.platform == "win32":
        return str(uid)
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
