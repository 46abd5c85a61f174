"""What a server tells of itself before anybody is logged on: in its NEGOTIATE response and in NTLM's challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lanman import dtyp
from lanman.auth.ntlm import MsvAvDnsComputerName, MsvAvDnsDomainName, MsvAvNbComputerName, MsvAvNbDomainName
from lanman.plain import dataclass
from lanman.smb2.constants import (
    AES_128_CCM,
    AES_128_GCM,
    AES_256_CCM,
    AES_256_GCM,
    AES_CMAC,
    AES_GMAC,
    HMAC_SHA256,
    SMB2_NEGOTIATE_SIGNING_ENABLED,
    SMB2_NEGOTIATE_SIGNING_REQUIRED,
    Dialect,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanman.auth.ntlm import ChallengeMessage
    from lanman.smb2.connection import Negotiated

# A ServerGuid is opaque (MS-SMB2 2.2.4), and smbd's is its name: ours begins so, that a client may know what it asks.
_GUID_PREFIX: Final = b"lanman\0\0"

_DIALECTS: Final = {
    Dialect.SMB_2_0_2: "2.0.2",
    Dialect.SMB_2_1: "2.1",
    Dialect.SMB_3_0: "3.0",
    Dialect.SMB_3_0_2: "3.0.2",
    Dialect.SMB_3_1_1: "3.1.1",
}
_SIGNING: Final = {HMAC_SHA256: "HMAC-SHA256", AES_CMAC: "AES-128-CMAC", AES_GMAC: "AES-128-GMAC"}
_CIPHERS: Final = {
    AES_128_CCM: "AES-128-CCM",
    AES_128_GCM: "AES-128-GCM",
    AES_256_CCM: "AES-256-CCM",
    AES_256_GCM: "AES-256-GCM",
}


def new_server_guid(random: Callable[[int], bytes]) -> bytes:
    """The ServerGuid of a Server of ours, by which `is_lanman` knows it; half of it is random."""
    return _GUID_PREFIX + random(16 - len(_GUID_PREFIX))


def is_lanman(server_guid: bytes) -> bool:
    """Whether a NEGOTIATE response comes from a Server of lanman."""
    return server_guid.startswith(_GUID_PREFIX)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server told of itself. What it did not tell is "" or None; nothing of it is proven before the log-on.

    `dialect` is as "3.1.1", `signing` and `encryption` are the algorithms that were settled ("" for no encryption).
    `signs`: it says that it can sign, as every server has to (MS-SMB2 2.2.4, SecurityMode).
    Times are in seconds since 1970: `negotiate_time` by SMB2 NEGOTIATE, `challenge_time` by NTLM. Names and `version`
    (major, minor, build) are NTLM's (MS-NLMP 2.2.2.1, 2.2.2.10): a log-on by Kerberos hears none of them.
    """

    dialect: str
    signing: str
    signing_required: bool
    encryption: str
    capabilities: int
    server_guid: bytes
    negotiate_time: float | None = None
    challenge_time: float | None = None
    computer_name: str = ""
    domain_name: str = ""
    dns_computer_name: str = ""
    dns_domain_name: str = ""
    version: tuple[int, int, int] | None = None
    signs: bool = True


def server_facts(negotiated: Negotiated, challenge: ChallengeMessage | None) -> ServerFacts:
    """What a NEGOTIATE, and the challenge of an NTLM log-on where there was one, tell."""
    time = negotiated.system_time
    facts: dict[str, object] = {}
    if challenge is not None:
        facts = {
            "challenge_time": challenge.time,
            "computer_name": challenge.name(MsvAvNbComputerName),
            "domain_name": challenge.name(MsvAvNbDomainName),
            "dns_computer_name": challenge.name(MsvAvDnsComputerName),
            "dns_domain_name": challenge.name(MsvAvDnsDomainName),
            "version": challenge.product_version,
        }
    return ServerFacts(
        _DIALECTS[Dialect(negotiated.dialect)],
        _SIGNING[negotiated.signing_algorithm],
        bool(negotiated.security_mode & SMB2_NEGOTIATE_SIGNING_REQUIRED),
        _CIPHERS.get(negotiated.cipher, ""),
        negotiated.capabilities,
        negotiated.server_guid,
        dtyp.nanoseconds(time) / 1e9 if time else None,
        signs=bool(negotiated.security_mode & (SMB2_NEGOTIATE_SIGNING_ENABLED | SMB2_NEGOTIATE_SIGNING_REQUIRED)),
        **facts,  # type: ignore[arg-type]
    )
