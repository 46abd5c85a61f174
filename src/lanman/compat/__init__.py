r"""Stand-ins for the APIs that scripts on Windows call: the same names, arguments and answers, from any system.

    lanman.compat.win32net             pywin32's module; constants in lanman.compat.win32netcon
    lanman.compat.netapi               the C functions of netapi32
    lanman.compat.win32_net_session    Perl's Win32::Net::Session
    lanman.compat.adsi                 GetObject("WinNT://host/LanmanServer")

A script changes an import, and gives its credentials:

    from lanman import compat
    from lanman.compat import win32net

    compat.login(r"\\fs1", "ann", "secret")
    for session in win32net.NetSessionEnum(10, r"\\fs1"): ...

Servers are written `fs1`, `\\fs1` or `\\fs1:4450`; none is this machine's own Server, which asks the kernel who we
are. What is known to differ from the originals is listed in docs/compat.md.
"""

from __future__ import annotations

from lanman.compat._calls import answered_level
from lanman.compat._logins import login, logout

__all__ = ["answered_level", "login", "logout"]
