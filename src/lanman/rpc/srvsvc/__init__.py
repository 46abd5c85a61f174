r"""The Server Service Remote Protocol: every call of `\PIPE\srvsvc`, for both ends (MS-SRVS 3.1.4).

    stub = NetrSessionEnum(None, None, None, 502).pack()
    answer = request.answer(stub)                       # a NetrSessionEnumResponse

There is one module for each noun, and a call stands there once: its request, its response, and the information levels
that it takes. Class names are the specification's, fields its parameters' in snake_case; `info` and `entries` are the
records at the heart of a call. The field `level` says which of a record's fields travel: see the tables of levels. A
level that is not in them decodes as a request without entries or info, so that the method can answer
ERROR_INVALID_LEVEL. `levels` of a request class has those that MS-SRVS defines for that call.

    interface                       SRVSVC itself, and what several calls answer alike
    sessions  files  connections    who is connected, and what is open
    shares  server  transports      what is shared, how it is set up, where it listens
    aliases  names                  further names of the server; rules for names and paths
    dfs  chardev                    calls that servers only refuse

All names of these modules can be imported from here as well. The first such import loads every module, after which
SRVSVC knows every call; a server needs that. A client that makes few calls imports them from the modules of their
nouns, and loads no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lanman.rpc.srvsvc.aliases import *
    from lanman.rpc.srvsvc.chardev import *
    from lanman.rpc.srvsvc.connections import *
    from lanman.rpc.srvsvc.dfs import *
    from lanman.rpc.srvsvc.files import *
    from lanman.rpc.srvsvc.interface import *
    from lanman.rpc.srvsvc.names import *
    from lanman.rpc.srvsvc.server import *
    from lanman.rpc.srvsvc.sessions import *
    from lanman.rpc.srvsvc.shares import *
    from lanman.rpc.srvsvc.transports import *
else:

    def __getattr__(name: str) -> object:
        # PEP 562: called for a name that this module has not yet.
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import lanman.rpc.srvsvc.aliases as aliases
        import lanman.rpc.srvsvc.chardev as chardev
        import lanman.rpc.srvsvc.connections as connections
        import lanman.rpc.srvsvc.dfs as dfs
        import lanman.rpc.srvsvc.files as files
        import lanman.rpc.srvsvc.interface as interface
        import lanman.rpc.srvsvc.names as names
        import lanman.rpc.srvsvc.server as server
        import lanman.rpc.srvsvc.sessions as sessions
        import lanman.rpc.srvsvc.shares as shares
        import lanman.rpc.srvsvc.transports as transports

        modules = (aliases, chardev, connections, dfs, files, interface, names, server, sessions, shares, transports)
        for module in modules:
            if name in vars(module):
                globals()[name] = vars(module)[name]
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
