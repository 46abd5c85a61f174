"""Names and paths: NetprNameValidate (MS-SRVS 3.1.4.32), and what may be a name of which kind.

The other calls of 3.1.4.29 to 3.1.4.34 are not supported, which every caller is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from lanman import codes
from lanman.rpc.srvsvc.names import (
    NetprNameCanonicalize,
    NetprNameCompare,
    NetprNameValidate,
    NetprNameValidateResponse,
    NetprPathCanonicalize,
    NetprPathCompare,
    NetprPathType,
)
from lanman.server.rights import ANYBODY, Rights
from lanman.server.srvsvc.calls import CallContext, CallRefused, answers, declines

LM2X_COMPATIBLE: Final = 0x80000000  # 3.1.4.32: the shorter names of LAN Manager 2.x

_INVALID: Final = re.compile(r'["/\\\[\]:|<>+=;,?\x01-\x1f]')


class NameType(NamedTuple):
    """How long a name may be, in LAN Manager 2.x too, and which characters it may not have beside the usual."""

    shortest: int
    longest: int
    lm_longest: int
    invalid: str = ""


# 2.2.2.8
NAME_TYPES: Final[Mapping[int, NameType]] = {
    1: NameType(1, 256, 20),  # user
    2: NameType(0, 256, 14),  # password
    3: NameType(1, 256, 20),  # group
    4: NameType(1, 260, 15, "*"),  # computer
    5: NameType(1, 16, 16),  # event
    6: NameType(1, 15, 15, "* "),  # domain
    7: NameType(1, 80, 15),  # service
    8: NameType(1, 260, 259),  # net
    9: NameType(1, 80, 12),  # share
    10: NameType(1, 15, 15),  # message
    11: NameType(1, 260, 259),  # message destination
    12: NameType(0, 8, 8),  # share password
    13: NameType(1, 15, 15),  # workgroup
}
COMPUTER: Final = 4
MESSAGE_DESTINATION: Final = 11


def is_valid(name: str, name_type: int, *, lm2x: bool = False) -> bool:
    """Whether a name is one of its type. KeyError if there is no such type."""
    rule = NAME_TYPES[name_type]
    if not rule.shortest <= len(name) <= (rule.lm_longest if lm2x else rule.longest):
        return False
    if _INVALID.search(name) or any(character in rule.invalid for character in name):
        return False
    if name_type == COMPUTER:
        return not name.startswith(" ") and not name.endswith(" ")
    # A message may be sent to all names that begin so: `*` may stand at the end.
    return name_type != MESSAGE_DESTINATION or "*" not in name[:-1]


@answers(NetprNameValidate, rights=Rights(ANYBODY))
def name_validate(context: CallContext, request: NetprNameValidate) -> NetprNameValidateResponse:
    """NetprNameValidate (MS-SRVS 3.1.4.32)."""
    if request.flags not in (0, LM2X_COMPATIBLE) or request.name_type not in NAME_TYPES:
        raise CallRefused(codes.ERROR_INVALID_PARAMETER)
    if not is_valid(request.name, request.name_type, lm2x=bool(request.flags)):
        raise CallRefused(codes.ERROR_INVALID_NAME)
    return NetprNameValidateResponse(codes.NERR_Success)


declines(
    NetprNameCanonicalize,
    NetprNameCompare,
    NetprPathCanonicalize,
    NetprPathCompare,
    NetprPathType,
    rights=Rights(ANYBODY),  # note 109
)
