r"""The Server: sockets, one timer, and everything that decides plugged together.

    home = Home("/var/lib/lanman")
    async with SmbServer(Configuration(listen=("127.0.0.1",), port=0), home) as server:
        print(server.port)
        await server.wait_stopped()

`smb_server` is its life cycle and the event loop's side of dispatch, `protocol` one connection's socket, `sockets` what
it listens on, `apply` what a configuration means to the domain.
"""

from lanman.net.server.smb_server import SmbServer
from lanman.net.server.sockets import ServerError

__all__ = ["ServerError", "SmbServer"]
