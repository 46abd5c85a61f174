r"""The calls of `\PIPE\srvsvc` (MS-SRVS 3.1.4), for programs that want the protocol itself.

    with lanman.connect("fs1", credentials) as manager:
        answer = manager.call(srvsvc.NetrSessionEnum(r"\\fs1", None, None, 10))
        print(answer.status, answer.entries)

  - A request is made with the parameters of the specification in its order, in snake_case; lists and levels are the
    records of `lanman.records`. Its answer is the class of the same name with `Response` behind it.
  - `Manager.call` gives an answer as it came: its `status` has to be looked at, one page is one page, nothing is
    filtered or corrected. A fault of RPC is raised as Win32Error.
  - A question may be asked again where the connection turns out to be dead; pass `again=False` with what is an order.
  - A table of levels (`SESSION_INFO.table`) says which fields of a record a level has, in wire order.

The calls that servers only refuse (character devices, DFS) are not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanman.rpc.srvsvc.aliases import *
from lanman.rpc.srvsvc.connections import *
from lanman.rpc.srvsvc.files import *
from lanman.rpc.srvsvc.interface import *
from lanman.rpc.srvsvc.names import *
from lanman.rpc.srvsvc.server import *
from lanman.rpc.srvsvc.sessions import *
from lanman.rpc.srvsvc.shares import *
from lanman.rpc.srvsvc.transports import *

if not TYPE_CHECKING:
    # Type checkers take what the modules declare. A call added to one of them is public without being named here.
    __all__ = sorted(name for name in globals() if name.startswith(("Netr", "Netp", "MAX_")) or name.endswith("_INFO"))
