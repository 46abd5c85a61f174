"""What the checks judge by: how far an examination got, and what the server, or this machine, said on the way."""

from __future__ import annotations

import enum
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from lanman.names import fold
from lanman.net.credentials import Credentials
from lanman.plain import dataclass

if TYPE_CHECKING:
    from lanman.errors import LanmanError
    from lanman.manage.samba_local.find import Smbd
    from lanman.net.server_facts import ServerFacts
    from lanman.records import PortionDetails, RefusalDetails, ServerInfo


class Stage(enum.IntEnum):
    """The steps of an examination, in order."""

    NOTHING = 0
    RESOLVED = 1
    CONNECTED = 2
    NEGOTIATED = 3
    LOGGED_ON = 4
    TREE = 5
    """Connected to IPC$."""
    PIPE = 6
    """The management interface is there to be asked."""
    ASKED = 7


class Way(enum.Enum):
    """How the server is asked."""

    SMB = "over the network"
    OWN = "over its control socket"
    WINDOWS = "by netapi32"
    SAMBA_TOOLS = "by Samba's own tools"
    KSMBD = "by ksmbd's files"


@dataclass(slots=True)
class Answer:
    """What came of one question. `code` is the Win32 code, 0 where it was granted; `fault`: an RPC fault said so.

    `count` is of how many there are, where the answer says that; `seconds` is how long it took.
    """

    code: int
    error: LanmanError | None = None
    fault: bool = False
    count: int | None = None
    seconds: float = 0.0

    @property
    def granted(self) -> bool:
        """Whether the server answered what it was asked."""
        return self.code == 0


@dataclass(slots=True)
class Clock:
    """How many seconds a server's clock is ahead of this machine's, and who says so."""

    ahead: float
    told_by: str


@dataclass(slots=True)
class HomeFacts:
    """One place where a Server of lanman may have its home. `owner` and modes are None where there is nothing."""

    path: Path
    mode: int | None = None
    owner: int | None = None
    owner_name: str = ""
    accounts_mode: int | None = None
    control: str = "absent"
    """"answers", "denied" or "absent"."""
    denied: LanmanError | None = None
    configuration_error: LanmanError | None = None
    port: int = 445


@dataclass(slots=True)
class Here:
    """What this machine has. `home` is the one that counts: whose socket answers, else denies, else the first.

    `holder` is who answers at 127.0.0.1 on the port of its configuration; None: nobody. `samba` are the smbd that run
    here; `missing_tool` is a tool of Samba's that is not to be found. `portions` and `event_loop` are None where nobody
    was asked for them, and empty where a Server does not tell them.
    """

    home: HomeFacts
    user_id: int = 0
    user_name: str = ""
    holder: str | None = None
    samba: list[Smbd] = field(default_factory=list)
    ksmbd: bool = False
    missing_tool: str | None = None
    share_problems: dict[str, str] = field(default_factory=dict)
    refusals: list[RefusalDetails] = field(default_factory=list)
    portions: list[PortionDetails] | None = None
    event_loop: str | None = None


@dataclass(slots=True)
class Facts:
    """All that an examination found out. `failure` is what it ended with before it was through, in the step behind
    `stage`; `wanted` is as far as it was to go."""

    server: str
    port: int = 445
    credentials: Credentials = field(default_factory=lambda: Credentials(anonymous=True))
    way: Way = Way.SMB
    wanted: Stage = Stage.ASKED
    stage: Stage = Stage.NOTHING
    failure: LanmanError | None = None
    addresses: list[str] = field(default_factory=list)
    address: str = ""
    connect_seconds: float = 0.0
    told: ServerFacts | None = None
    is_samba: bool = False
    is_lanman: bool = False
    refused: int = 0
    """The NTSTATUS that the server refused the log-on with."""
    became: str = ""
    """"a guest" or "anonymous", where the server made the user such a one."""
    clock: Clock | None = None
    levels: dict[int, Answer] = field(default_factory=dict)
    files: Answer | None = None
    info: ServerInfo | None = None
    info_levels: dict[int, Answer] = field(default_factory=dict)
    here: Here | None = None

    @property
    def stopped_at(self) -> Stage | None:
        """The step that the examination ended with before it was through; None where it got through. On this machine
        there are two: finding a service to ask (NOTHING), and asking it."""
        if self.failure is None:
            return None
        if self.way is not Way.SMB:
            return Stage.ASKED if self.levels else Stage.NOTHING
        return Stage(self.stage + 1)

    def failed_at(self, stage: Stage) -> LanmanError | None:
        """What this very step ended with, None where it was not what stopped the examination."""
        return self.failure if self.stopped_at is stage else None

    @property
    def who(self) -> str:
        """Who one is to the server, in words."""
        if self.here is not None and self.way is not Way.SMB:
            return self.here.user_name or "this user"
        return "a null session" if self.credentials.anonymous else self.credentials.logon_name or "the ticket's user"

    @property
    def build(self) -> int | None:
        """The build of Windows that the server calls itself; None for Samba and lanman, and where it says none."""
        version = None if self.told is None or self.is_samba or self.is_lanman else self.told.version
        return version[2] or None if version is not None else None

    @property
    def granted_level(self) -> int | None:
        """The richest level of sessions that was granted."""
        return next((level for level, answer in self.levels.items() if answer.granted), None)

    @property
    def own_tells_less(self) -> bool:
        """Whether this is our Server of this machine, grants who asks everything, and yet told none of what only a
        Server of this version knows how to tell. (One that refuses who asks is a matter of other checks.)"""
        if self.way is not Way.OWN or self.here is None or self.here.portions is None:
            return False
        asked_first = next(iter(self.levels.values()), None)  # the level that wants most rights
        return not (self.here.portions or self.here.event_loop) and asked_first is not None and asked_first.granted

    @property
    def may_be_local(self) -> bool:
        """Whether the user may be an account of that machine itself rather than of a domain."""
        if self.credentials.kerberos or self.credentials.anonymous or "@" in self.credentials.user_name:
            return False
        domain = fold(self.credentials.domain)
        if self.told is None or not self.told.computer_name:
            return domain in ("", ".")
        computer = fold(self.told.computer_name)
        # A machine that is in no domain is its own, and knows no other accounts.
        return fold(self.told.domain_name) == computer or domain in ("", ".", computer)
