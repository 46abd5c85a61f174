"""Which Windows a build is: what NTLM's challenge tells of a server."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

FIRST_HARDENED: Final = 14393
"""Windows 10 1607 and Server 2016: since then SrvsvcSessionInfo keeps authenticated users from every level."""

_BUILDS: Final = (
    (0, "an early Windows"),
    (2195, "Windows 2000"),
    (2600, "Windows XP"),
    (3790, "Windows Server 2003"),
    (6000, "Windows Vista or Server 2008"),
    (7600, "Windows 7 or Server 2008 R2"),
    (9200, "Windows 8 or Server 2012"),
    (9600, "Windows 8.1 or Server 2012 R2"),
    (10240, "Windows 10 before 1607"),
    (14393, "Windows 10 1607 or Server 2016"),
    (15063, "Windows 10"),
    (17763, "Windows 10 1809 or Server 2019"),
    (18362, "Windows 10"),
    (20348, "Windows Server 2022"),
    (22000, "Windows 11"),
    (25398, "Windows Server 23H2"),
    (26100, "Windows 11 24H2 or Server 2025"),
    (26101, "a Windows after Server 2025"),
)


def name_of(build: int) -> str:
    """The Windows of a build: of the newest release that is not newer than it."""
    return _BUILDS[bisect_right(_BUILDS, build, key=lambda entry: entry[0]) - 1][1]


def described(build: int | None) -> str:
    """`build 20348 (Windows Server 2022)`, for a sentence."""
    return "it does not say its build" if build is None else f"build {build} ({name_of(build)})"
