"""The checks as they are declared, and what holds of all of them: one speaks of each failure, texts are whole."""

from __future__ import annotations

import re
import string
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import codes
from lanman.errors import (
    AccessDenied,
    AuthenticationError,
    ConnectionLost,
    LanmanError,
    MalformedMessage,
    RemoteProtocolError,
    StatusError,
    TimedOut,
    Unprotected,
    Win32Error,
)
from lanman.manage.doctor.builds import FIRST_HARDENED, name_of
from lanman.manage.doctor.check import CATEGORIES, Check
from lanman.manage.doctor.facts import Answer, Clock, Facts, Here, HomeFacts, Stage, Way
from lanman.manage.doctor.report import Mark
from lanman.manage.doctor.run import checks, chosen
from lanman.net.credentials import Credentials
from lanman.net.server_facts import ServerFacts
from lanman.records import ServerInfo

IDS = [each.id for each in checks()]
TOLD = ServerFacts("3.1.1", "AES-128-CMAC", True, "AES-128-GCM", 0, bytes(16), version=(10, 0, 20348))
PLAIN = ServerFacts("2.1", "HMAC-SHA256", False, "", 0, bytes(16), version=None)


def test_every_check_is_whole() -> None:
    assert len(IDS) == len(set(IDS))
    assert {each.category for each in checks()} == set(CATEGORIES)
    for each in checks():
        assert re.fullmatch(r"LD\d{3}", each.id)
        assert each.looks_at.endswith(".")
        assert each.means.endswith(".")
        words = [cause.word for cause in each.causes]
        assert len(words) == len(set(words)), each.id
        assert all(re.fullmatch(r"[a-z0-9-]+", word) for word in words)
        assert not each.causes or each.severity is not Mark.OK
        for cause in each.causes:
            assert cause.why
            assert cause.fix
            assert each.texts(cause)["why"]


def test_every_category_and_id_can_be_chosen() -> None:
    for word in [*IDS, *CATEGORIES, "this-machine", "machine", "LOGON", "Log-On", "ld034"]:
        assert chosen([word])
    assert chosen([]) == checks()
    assert [each.id for each in chosen(["LD050", "LD034"])] == ["LD034", "LD050"]
    for word in ("", "LD", "LD999", "every"):
        with pytest.raises(Win32Error):
            chosen([word])


ERRORS: list[LanmanError] = [
    ConnectionLost("gone"),
    ConnectionLost("refused", code=codes.ERROR_CONNECTION_REFUSED),
    ConnectionLost("cannot be reached", code=codes.ERROR_BAD_NETPATH),
    TimedOut("no answer"),
    Unprotected("not signed"),
    RemoteProtocolError("nonsense"),
    MalformedMessage("nonsense"),
    AccessDenied(),
    *(StatusError(status) for status in (codes.STATUS_BAD_NETWORK_NAME, codes.STATUS_PIPE_NOT_AVAILABLE, 0xC0001234)),
    *(Win32Error(code) for code in (50, 384, 1717, 2114, 31)),
    *(AuthenticationError("no", code=code) for code in (5, 71, 86, 1244, 1311, 1326, 1331, 1398, 1909, 1788)),
]
STAGES = [stage for stage in Stage if stage is not Stage.NOTHING]


@pytest.mark.parametrize(("stage", "error"), list(product(STAGES, ERRORS)), ids=str)
@pytest.mark.parametrize("refused", [0, codes.STATUS_ACCESS_DENIED, codes.STATUS_LOGON_FAILURE])
def test_exactly_one_check_speaks_of_a_failure(stage: Stage, error: LanmanError, refused: int) -> None:
    for told, credentials in product((TOLD, PLAIN), (Credentials("ann", "x"), Credentials(kerberos=True))):
        facts = Facts("fs1", stage=Stage(stage - 1), failure=error, credentials=credentials)
        if stage > Stage.NEGOTIATED:
            facts.told = told
        if stage is Stage.LOGGED_ON:
            facts.refused = refused
        if stage is Stage.ASKED:
            facts.levels[502] = Answer(0, count=1)
        found = [finding for each in checks() for finding in each.findings(facts)]
        assert len([finding for finding in found if finding.mark is Mark.PROBLEM]) == 1, found
        assert len([finding for finding in found if finding.stops]) == 1
        assert all(finding.why and finding.fix for finding in found if finding.mark is Mark.PROBLEM)


names = st.text(alphabet=string.printable + "\u202e\x1b{}\\'", max_size=12)


@given(
    who=st.builds(Credentials, names, domain=names, kerberos=st.booleans(), anonymous=st.booleans()),
    way=st.sampled_from(Way),
    codes_=st.lists(st.sampled_from([0, 5, 50, 124, 1745, 4294967295]), max_size=5),
    told=st.none()
    | st.builds(ServerFacts, *map(st.just, ("3.0", "x", True, "", 0, b"")), computer_name=names, domain_name=names),
    is_samba=st.booleans(),
    info=st.none()
    | st.builds(ServerInfo, users=st.none() | st.integers(0, 2**32 - 1), type=st.none() | st.integers(0, 2**32 - 1)),
    ahead=st.none() | st.floats(-1e12, 1e12),
    count=st.none() | st.integers(0, 2**32 - 1),
)
def test_any_facts_give_findings(
    who: Credentials,
    way: Way,
    codes_: list[int],
    told: ServerFacts | None,
    is_samba: bool,
    info: ServerInfo | None,
    ahead: float | None,
    count: int | None,
) -> None:
    facts = Facts("{fs1}", credentials=who, way=way, stage=Stage.ASKED, told=told, is_samba=is_samba, info=info)
    facts.levels = {level: Answer(code, count=count) for level, code in zip((502, 2, 1, 10, 0), codes_, strict=False)}
    facts.clock = None if ahead is None else Clock(ahead, "NTLM")
    facts.here = None if way is Way.SMB else Here(HomeFacts(Path("/srv/home")))
    for each in checks():
        for finding in each.findings(facts):
            assert finding.says
            assert (finding.mark is not Mark.PROBLEM) or (finding.why and finding.fix)


def test_a_text_is_never_taken_for_a_pattern() -> None:
    """What a person or a peer is called may have braces in it."""
    facts = Facts("fs1", credentials=Credentials("{server}", domain="{0}"), stage=Stage.ASKED, told=TOLD)
    facts.levels = dict.fromkeys((502, 2, 1, 10, 0), Answer(5))
    (denied,) = _of("LD034").findings(facts)
    assert r"{0}\{server} is neither" in (denied.needs or "")


# What lets more people in, or protects less, than the user's own right needs: no remedy.
HOLES = ("legacy", "NullSessionPipes", "null_sessions", "no encryption", "EncryptData $false", "Enable-NetFirewallRule")


def test_no_remedy_opens_a_hole() -> None:
    fixes = [(each.id, cause.word, cause.fix) for each in checks() for cause in each.causes]
    assert not [found for found in fixes if any(hole in found[2] for hole in HOLES)]
    # What filters local administrators is named with what turning it off costs.
    assert all("stolen" in fix for *_, fix in fixes if "LocalAccountTokenFilterPolicy" in fix)


def test_what_is_pasted_is_quoted() -> None:
    facts = Facts("fs1", credentials=Credentials("o'neil; rm x", domain="EX"), stage=Stage.ASKED, is_lanman=True)
    facts.levels = dict.fromkeys((502, 2, 1, 10, 0), Answer(5))
    assert "'o'\"'\"'neil; rm x' /add" in (next(iter(_of("LD034").findings(facts))).fix or "")
    facts.is_lanman, facts.told = False, TOLD
    assert r"-Member 'EX\o''neil; rm x'" in (next(iter(_of("LD034").findings(facts))).fix or "")


def _of(id: str) -> Check:
    return next(each for each in checks() if each.id == id)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (0, "an early Windows"),
        (7601, "Windows 7 or Server 2008 R2"),
        (FIRST_HARDENED - 1, "Windows 10 before 1607"),
        (FIRST_HARDENED, "Windows 10 1607 or Server 2016"),
        (17763, "Windows 10 1809 or Server 2019"),
        (20348, "Windows Server 2022"),
        (22631, "Windows 11"),
        (26100, "Windows 11 24H2 or Server 2025"),
        (65535, "a Windows after Server 2025"),
    ],
)
def test_builds(build: int, name: str) -> None:
    assert name_of(build) == name
