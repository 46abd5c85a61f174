"""The control interface between the command and the running Server, spoken on its control socket only.

It has what MS-SRVS has no call for: to stop, to read the configuration again, to say of sessions and shares what no
level of NetrSessionEnum and NetrShareEnum holds, who was refused, and what users share and how much of it is taken. It
is never offered on a named pipe: nobody meets it over SMB. All calls need the rights of an administrator of the
machine, which the socket's peer credentials decide.

The encoding is that of any interface, NDR or NDR64; so the control socket needs no protocol of its own, and carries
srvsvc beside this. The version goes up when a call changes; an unknown one is refused when binding.
"""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import FileDetails, PortionDetails, RefusalDetails, SessionDetails, ShareDetails, ShareProblem
from lanman.rpc.levels import BOOL, levels
from lanman.rpc.ndr import Call, Entries, Interface, Response, string, struct_level, u32
from lanman.rpc.srvsvc.interface import StatusResponse

LANMAN: Final = Interface("lanman", "6b1d0f52-3c1e-4d0a-9a51-7e2f4c8d9b63", 1)

_SESSION: Final = "global_id client_name user_name domain address dialect signing encryption groups anonymous guest"

SESSION_DETAILS: Final = levels(
    SessionDetails,
    {0: _SESSION, 1: f"{_SESSION} channels channel_signing"},
    strings="client_name user_name domain address dialect signing encryption groups channels channel_signing",
    kinds={"anonymous": BOOL, "guest": BOOL},
)

SHARE_DETAILS: Final = levels(ShareDetails, {0: "name guest"}, strings="name guest")

DetailEntries = Annotated[list[SessionDetails] | None, Entries(SESSION_DETAILS)]


class StopResponse(StatusResponse):
    """Whether the Server will stop."""


@LANMAN.call(0)
class Stop(Call[StopResponse]):
    """Stop the Server: no more connections, the sessions end after `grace` seconds. The answer leaves first."""

    grace: u32 = 0


class ReloadResponse(StatusResponse):
    """Whether what was read is in force."""


@LANMAN.call(1)
class Reload(Call[ReloadResponse]):
    """Read the configuration and the accounts again. A mistake in them is ERROR_INVALID_DATA, and changes nothing."""


class SessionDetailsResponse(Response):
    """`entries` are in the order of NetrSessionEnum's."""

    level: struct_level
    entries: DetailEntries = None
    status: u32 = 0


@LANMAN.call(2)
class GetSessionDetails(Call[SessionDetailsResponse]):
    """All sessions, with what MS-SRVS cannot say of them. Level 1 tells their channels too."""

    level: struct_level = 0
    entries: DetailEntries = None


class ShareDetailsResponse(Response):
    """`entries` are in no order; their names are unique."""

    level: struct_level
    entries: Annotated[list[ShareDetails] | None, Entries(SHARE_DETAILS)] = None
    status: u32 = 0


@LANMAN.call(3)
class GetShareDetails(Call[ShareDetailsResponse]):
    """All shares, with what MS-SRVS cannot say of them. The only level is 0."""

    level: struct_level = 0
    entries: Annotated[list[ShareDetails] | None, Entries(SHARE_DETAILS)] = None


SHARE_PROBLEMS: Final = levels(ShareProblem, {0: "name problem"}, strings="name problem")

ProblemEntries = Annotated[list[ShareProblem] | None, Entries(SHARE_PROBLEMS)]


class ShareProblemsResponse(Response):
    """`entries` are in no order; their names are unique."""

    level: struct_level
    entries: ProblemEntries = None
    status: u32 = 0


@LANMAN.call(4)
class GetShareProblems(Call[ShareProblemsResponse]):
    """The shares that cannot be used as things are, and why. The only level is 0."""

    level: struct_level = 0
    entries: ProblemEntries = None


REFUSALS: Final = levels(
    RefusalDetails,
    {0: "client_name user_name reason detail remedy count first last"},
    strings="client_name user_name reason detail remedy",
)


class RefusalsResponse(Response):
    """`entries` are the most recent first; the Server remembers so many and no more."""

    level: struct_level
    entries: Annotated[list[RefusalDetails] | None, Entries(REFUSALS)] = None
    status: u32 = 0


# 5 and 6 are those of `control_events`.
@LANMAN.call(7)
class GetRefusals(Call[RefusalsResponse]):
    """The clients that were refused lately, and why. The only level is 0."""

    level: struct_level = 0
    entries: Annotated[list[RefusalDetails] | None, Entries(REFUSALS)] = None


FILE_DETAILS: Final = levels(
    FileDetails,
    {0: "id session_id opened_at share oplock lease lease_key durable owner expires_at"},
    strings="share oplock lease lease_key owner",
    kinds={"durable": BOOL},
)


class FileDetailsResponse(Response):
    """`entries` are in the order of NetrFileEnum's."""

    level: struct_level
    entries: Annotated[list[FileDetails] | None, Entries(FILE_DETAILS)] = None
    status: u32 = 0


@LANMAN.call(8)
class GetFileDetails(Call[FileDetailsResponse]):
    """All open files, with what MS-SRVS cannot say of them. The only level is 0."""

    level: struct_level = 0
    entries: Annotated[list[FileDetails] | None, Entries(FILE_DETAILS)] = None


PORTIONS: Final = levels(
    PortionDetails,
    {0: "name taken most user of_user refused refused_user remedy"},
    strings="name user refused_user remedy",
)


class PortionsResponse(Response):
    """`loop` is the event loop that the Server runs on: `asyncio`, `uvloop`. `entries` are in no order; their names are
    unique."""

    loop: string = None
    level: struct_level = 0
    entries: Annotated[list[PortionDetails] | None, Entries(PORTIONS)] = None
    status: u32 = 0


@LANMAN.call(9)
class GetPortions(Call[PortionsResponse]):
    """What the Server's users share, how much of it is taken, and who was refused more. The only level is 0."""

    level: struct_level = 0
    entries: Annotated[list[PortionDetails] | None, Entries(PORTIONS)] = None
