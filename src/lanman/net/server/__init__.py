r"""The Server: sockets, one timer, and everything that decides plugged together.

    home = Home("/var/lib/lanman")
    async with SmbServer(Configuration(listen=("127.0.0.1",), port=0), home) as server:
        print(server.port)
        await server.wait_stopped()

Its files, each of which may import those below it:

    embedded     lanman.Server: one in a program or a test
    smb_server   its life: the home, the start in an order that leaves nothing behind, the stop
    driver       the event loop's side of dispatch: one timer, all sockets, the disk
    protocol     one connection's socket
    outgoing     what it has to send, in pieces
    sockets      the addresses that it listens on
    apply        what a configuration means, and how one takes the place of another
"""

from lanman.net.server.smb_server import SmbServer
from lanman.net.server.sockets import ServerError

__all__ = ["ServerError", "SmbServer"]
