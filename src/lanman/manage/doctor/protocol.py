"""The checks of `protocol`: which SMB is spoken, and how it is signed and encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError, TimedOut, Unprotected
from lanman.manage.doctor.check import Cause, Said, check, ok, problem, warning
from lanman.manage.doctor.facts import Facts, Stage
from lanman.manage.doctor.report import Mark


def speaks_smb1(error: LanmanError) -> bool:
    """Whether a NEGOTIATE that failed so shows a server without SMB 2: it says so, or hangs up on its first byte."""
    hung_up = isinstance(error, ConnectionLost) and not isinstance(error, TimedOut)
    return error.code == codes.ERROR_SMB1_NOT_AVAILABLE or hung_up


@check(
    "LD020",
    "protocol",
    "dialect",
    stage=Stage.NEGOTIATED,
    severity=Mark.PROBLEM,
    looks_at="Which dialect of SMB the server chooses of those that are offered: 2.0.2, 2.1, 3.0, 3.0.2 and 3.1.1.",
    means="lanman speaks SMB 2 and 3. SMB 1 can neither be made safe nor is it spoken here.",
    causes=(
        Cause(
            "smb1-only",
            "it answers with SMB 1 where SMB 2 and 3 were offered",
            "turn SMB 2 on at the server: Set-SmbServerConfiguration -EnableSMB2Protocol $true on a Windows, "
            "`server max protocol = SMB3` in a Samba's smb.conf, the firmware's setting on a NAS or a printer",
        ),
        Cause(
            "hung-up",
            "it closed the connection on the first message: Windows XP and servers that are set to SMB 1 alone do "
            "so, those that admit certain addresses only, and some that are no SMB servers",
            "see what listens there, which SMB is turned on, and whether it admits this machine's address (`hosts "
            "allow` of a Samba)",
        ),
        Cause(
            "address-refused",
            "it refuses before any dialect is spoken of, as a Samba does to addresses that it does not admit",
            "see `hosts allow` and `hosts deny` in the Samba's smb.conf, for all and for IPC$",
        ),
        Cause(
            "none-in-common",
            "it knows SMB 2 and chooses none of its dialects",
            "see which dialects are turned on there (`server min protocol`, `server max protocol` of a Samba)",
        ),
    ),
)
def dialect(facts: Facts) -> Iterator[Said]:
    """The dialect, or why there is none."""
    if facts.told is not None:
        yield ok(f"SMB {facts.told.dialect}", dialect=facts.told.dialect)
        return
    error = facts.failed_at(Stage.NEGOTIATED)
    if error is None:
        return
    if error.code == codes.ERROR_SMB1_NOT_AVAILABLE:
        yield problem("speaks SMB 1 only", "smb1-only")
    elif error.code == codes.ERROR_ACCESS_DENIED:
        yield problem(error.text, "address-refused")
    elif speaks_smb1(error):
        yield problem(error.text, "hung-up")
    elif error.code == codes.ERROR_NOT_SUPPORTED:
        yield problem(error.text, "none-in-common")


@check(
    "LD021",
    "protocol",
    "encryption",
    stage=Stage.NEGOTIATED,
    severity=Mark.WARNING,
    looks_at="Whether the server can encrypt (SMB 3), and by which cipher.",
    means="Without encryption, who listens on the way reads names and paths. A server that requires encryption of a "
    "dialect that has none refuses every log-on.",
    causes=(
        Cause(
            "not-offered",
            "dialect {dialect}, and no cipher was agreed on",
            "turn it on there: Set-SmbServerConfiguration -EncryptData $true on a Windows, "
            "`server smb encrypt = desired` in a Samba's smb.conf; it takes SMB 3",
        ),
        Cause(
            "required-and-impossible",
            "the log-on was refused with ACCESS_DENIED on a connection that cannot be encrypted",
            "let the server speak SMB 3 (`server max protocol = SMB3` of a Samba)",
        ),
    ),
)
def encryption(facts: Facts) -> Iterator[Said]:
    """The cipher, or that there is none."""
    if (told := facts.told) is None:
        return
    if told.encryption:
        yield ok(f"encryption: {told.encryption}", cipher=told.encryption)
    elif encryption_is_missed(facts):
        yield problem(
            f"encryption is required, and SMB {told.dialect} without a cipher was agreed on",
            "required-and-impossible",
            stops=True,
            status=f"0x{facts.refused:08x}",
        )
    else:
        yield warning("encryption not offered", "not-offered", values={"dialect": told.dialect}, cipher=None)


def encryption_is_missed(facts: Facts) -> bool:
    """Whether a log-on was refused as servers refuse it that require encryption and cannot have it."""
    denied = facts.refused == codes.STATUS_ACCESS_DENIED and not isinstance(facts.failure, Unprotected)
    return denied and facts.told is not None and not facts.told.encryption


@check(
    "LD022",
    "protocol",
    "signing",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="Whether every answer after the log-on is signed or encrypted, as lanman demands, and whether the server "
    "confirms what NEGOTIATE said.",
    means="What is not signed may have been changed by anybody on the way, so it is not believed and the connection "
    "ends.",
    causes=(
        Cause(
            "unprotected",
            "{reason}",
            "turn signing on at the server (Set-SmbServerConfiguration -EnableSecuritySignature $true, "
            "`server signing = auto`); where it is on, something between here and there changes what is sent",
        ),
    ),
)
def signing(facts: Facts) -> Iterator[Said]:
    """The algorithm, or what was not signed."""
    if isinstance(facts.failure, Unprotected) and facts.stage >= Stage.NEGOTIATED:
        values = {"reason": facts.failure.text}
        yield problem("its answers cannot be believed", "unprotected", values=values, stops=True)
    elif facts.told is not None and facts.stage >= Stage.LOGGED_ON:
        if facts.credentials.anonymous:
            yield ok("a null session is not signed", signing=None)
            return
        required = "" if facts.told.signing_required else ", though it does not require that"
        yield ok(
            f"signed ({facts.told.signing}){required}",
            signing=facts.told.signing,
            required=facts.told.signing_required,
        )
