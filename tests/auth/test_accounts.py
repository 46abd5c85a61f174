"""The account model and its file: rules, codes, and what a damaged file says about itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.auth.accounts import BUILT_IN_GROUPS, Accounts, AccountsError, check_name
from lanman.auth.md4 import nt_hash
from lanman.errors import LanmanError, Win32Error
from lanman.names import ADMINISTRATORS, GUESTS, SERVER_OPERATORS, USERS, fold

HASH = nt_hash("Secret1")


@pytest.fixture
def accounts() -> Accounts:
    accounts = Accounts()
    accounts.add("Ann", "Secret1", groups=["administrators", USERS], full_name="Ann Other", comment="second floor")
    accounts.add("Zoë 🙂", nt_hash=HASH)
    accounts.add("gone", disabled=True)
    accounts.add_group("Auditors", "may look, not touch")
    accounts.add_member("auditors", "ann")
    return accounts


def refused(code: int, call: Callable[[], object]) -> str:
    with pytest.raises(Win32Error) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.message
    return caught.value.message


# --- users


def test_names_in_any_case(accounts: Accounts) -> None:
    assert accounts.account("ANN") is accounts.users["Ann"]
    assert accounts.account("zoË 🙂").name == "Zoë 🙂"
    assert accounts.find("bob") is None
    assert accounts.find(ADMINISTRATORS) is None
    refused(2221, lambda: accounts.account("bob"))


def test_ss_is_not_sharp_s() -> None:
    accounts = Accounts()
    accounts.add("Maß")
    accounts.add("Mass")
    assert accounts.account("MAß").name == "Maß"
    assert fold("Maß") == "MAß"


def test_look_alikes_are_not_there(accounts: Accounts) -> None:
    accounts.add("kate")
    for name in ("\u212aate", "admini\u017ftrators", "adm\u0131nistrators"):
        assert accounts.find(name) is None
        refused(2220, lambda name=name: accounts.group(name))  # type: ignore[misc]
    assert accounts.add("\u212aate").name == "\u212aate"
    assert accounts.account("KATE").name == "kate"


def test_a_file_from_before_names_were_compared_as_now() -> None:
    """The final sigma met the other sigma then; alphas with an iota below them did not meet their upper case."""
    text = """version = 1

[group \u039f\u0394\u039f\u03a3]
[user \u1f80]
comment = one
groups = \u03bf\u03b4\u03bf\u03c2, u\u017fers
[user \u1f88]
comment = two
"""
    accounts = Accounts.parse(text.encode())
    assert accounts.account("\u1f80").groups == {"\u039f\u0394\u039f\u03a3", USERS}
    assert accounts.account("\u1f88").comment == "two"
    assert Accounts.parse(accounts.dump()) == accounts
    refused(2224, lambda: accounts.add("\u1f88"))
    accounts.delete("\u1f80")
    assert accounts.account("\u1f80").comment == "two"
    accounts.delete("\u1f88")
    assert accounts.find("\u1f88") is None
    accounts.add("\u1f88")
    refused(2224, lambda: accounts.add("\u1f80"))


def test_add(accounts: Accounts) -> None:
    account = accounts.add("bob", "pw", groups=["power users"])
    assert account.nt_hash == nt_hash("pw")
    assert account.groups == {"Power Users"}
    assert accounts.add("carl").groups == {USERS}
    for taken in ("bob", "BOB", "administrators"):
        refused(2224, lambda taken=taken: accounts.add(taken))  # type: ignore[misc]
    refused(2220, lambda: accounts.add("dora", groups=["Nobodies"]))
    refused(2220, lambda: accounts.add("dora", groups=["bob"]))
    refused(2245, lambda: accounts.add("dora", ""))
    refused(2245, lambda: accounts.add("dora", "x" * 257))
    refused(87, lambda: accounts.add("dora", nt_hash=b"short"))
    refused(87, lambda: accounts.add("dora", comment="two\nlines"))
    assert accounts.find("dora") is None


@pytest.mark.parametrize("bad", [*'"/\\[]:;|=,+*?<>@', "\0", "\n", "\x7f", "\x85", "\u2028", "\ud800"])
def test_characters_no_name_has(bad: str) -> None:
    message = refused(2202, lambda: check_name(f"a{bad}b"))
    assert message.isascii()
    assert message.isprintable()


@pytest.mark.parametrize("bad", ["", " ", "...", ". .", " ann", "ann ", "\u00a0ann", "x" * 257, "\U0001f600" * 129])
def test_no_names(bad: str) -> None:
    refused(2202, lambda: check_name(bad))


@pytest.mark.parametrize(
    "good",
    [
        "a",
        "x" * 256,
        "\U0001f600" * 128,
        "Ann Other",
        "ann.other",
        "#1",
        "user",
        "\u0646\u0627\u0645\u200c\u06a9",
        "$ann%",
    ],
)
def test_names(good: str) -> None:
    assert check_name(good) == good


def test_delete(accounts: Accounts) -> None:
    assert accounts.delete("ANN").name == "Ann"
    assert accounts.find("ann") is None
    assert accounts.members(ADMINISTRATORS) == []
    refused(2221, lambda: accounts.delete("ann"))
    accounts.add("ann")


def test_set_password(accounts: Accounts) -> None:
    accounts.set_password("ann", "other")
    assert accounts.account("ann").nt_hash == nt_hash("other")
    refused(2221, lambda: accounts.set_password("bob", "other"))
    refused(2245, lambda: accounts.set_password("ann", ""))


def test_change(accounts: Accounts) -> None:
    accounts.change("ann", comment=" third floor ", disabled=True)
    ann = accounts.account("ann")
    assert (ann.full_name, ann.comment, ann.disabled) == ("Ann Other", "third floor", True)
    accounts.change("ann", full_name="", disabled=False)
    assert (ann.full_name, ann.comment, ann.disabled) == ("", "third floor", False)
    refused(2221, lambda: accounts.change("bob", comment=""))
    refused(87, lambda: accounts.change("ann", full_name="x" * 257, comment="lost"))
    refused(87, lambda: accounts.change("ann", full_name="lost", comment="\t\0"))
    assert (ann.full_name, ann.comment) == ("", "third floor")


def test_guests() -> None:
    accounts = Accounts()
    assert accounts.is_guest(accounts.add("Guest"))
    assert accounts.is_guest(accounts.add("visitor", groups=[GUESTS, USERS]))
    assert not accounts.is_guest(accounts.add("ann"))


def test_nothing_secret_is_shown(accounts: Accounts) -> None:
    shown = repr(accounts) + repr(accounts.users) + str(accounts.account("ann"))
    assert HASH.hex() not in shown
    assert repr(HASH) not in shown


# --- groups


def test_groups(accounts: Accounts) -> None:
    assert set(accounts.groups) == {*BUILT_IN_GROUPS, "Auditors"}
    assert [account.name for account in accounts.members("AUDITORS")] == ["Ann"]
    refused(2220, lambda: accounts.members("Nobodies"))
    refused(2220, lambda: accounts.group("ann"))
    refused(2223, lambda: accounts.add_group("auditorS"))
    refused(2223, lambda: accounts.add_group("ann"))
    refused(2202, lambda: accounts.add_group("a,b"))


def test_membership(accounts: Accounts) -> None:
    accounts.add_member("server operators", "zoë 🙂")
    assert accounts.account("zoë 🙂").groups == {USERS, SERVER_OPERATORS}
    refused(1378, lambda: accounts.add_member("Server Operators", "ZOË 🙂"))
    accounts.remove_member("Server Operators", "zoë 🙂")
    refused(1377, lambda: accounts.remove_member("Server Operators", "zoë 🙂"))
    refused(2220, lambda: accounts.add_member("Nobodies", "ann"))
    refused(2221, lambda: accounts.add_member(USERS, "bob"))
    refused(2220, lambda: accounts.remove_member("Nobodies", "ann"))
    refused(2221, lambda: accounts.remove_member(USERS, "bob"))


def test_delete_group(accounts: Accounts) -> None:
    accounts.delete_group("auditors")
    assert "Auditors" not in accounts.account("ann").groups
    refused(2220, lambda: accounts.delete_group("auditors"))
    refused(2234, lambda: accounts.delete_group("administrators"))


# --- the file


def test_round_trip(accounts: Accounts) -> None:
    data = accounts.dump()
    again = Accounts.parse(data)
    assert again == accounts
    assert again.dump() == data
    assert again.find("ANN") is not None
    assert again.group("AUDITORS").comment == "may look, not touch"
    assert again != Accounts()


def test_as_documented() -> None:
    accounts = Accounts.parse(
        b"\xef\xbb\xbf; by hand\r\nversion=1\r\n\r\n[user ann]\r\n"
        b"nt_hash = " + HASH.hex().upper().encode() + b"\r\n"
        b" groups =  administrators ,Auditors\r\nfull_name = Ann = Other # no comment\r\ndisabled = NO\r\n\r\n"
        b"[ group  Auditors ]\r\n# may look\r\n[group users]\r\ncomment = us\r\n[user bob]\r\n"
    )
    ann, bob = accounts.account("ann"), accounts.account("bob")
    assert ann.nt_hash == HASH
    assert ann.groups == {ADMINISTRATORS, "Auditors"}
    assert (ann.full_name, ann.disabled) == ("Ann = Other # no comment", False)
    assert (bob.nt_hash, bob.groups, bob.disabled) == (b"", frozenset(), False)
    assert accounts.group("Users").comment == "us"
    assert Accounts.parse(accounts.dump()) == accounts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: version"),
        ("version = 2\n", "line 1: version"),
        ("[user ann]\n", "line 1: version"),
        ("version = 1\nversion = 1\n", "line 2: version is given twice"),
        ("version = 1\nnt_hash = 1\n", "line 2: 'nt_hash' is not a key here"),
        ("version = 1\n[user ann]\n\nversion = 1\n", "line 4: 'version' is not a key here"),
        ("version = 1\n[user ann]\nhello\n", "line 3: expected KEY = VALUE"),
        ("version = 1\n[user ann\n", "line 2: expected [user NAME] or [group NAME]"),
        ("version = 1\n[\n", "line 2: expected [user NAME] or [group NAME]"),
        ("version = 1\n[users ann]\n", "line 2: expected [user NAME] or [group NAME]"),
        ("version = 1\n[user]\n", "line 2: user: '' is not a valid name"),
        ("version = 1\n[user a:b]\n", "line 2: user: 'a:b' is not a valid name"),
        ("version = 1\n[user ann]\n[user ANN]\n", "line 3: user: The user account already exists."),
        ("version = 1\n[group users]\n", "line 2: group: The group already exists."),
        ("version = 1\n[group a]\n[group A]\n", "line 3: group: The group already exists."),
        ("version = 1\n[group a]\n\ncomment = \x01\n", "line 4: comment: "),
        ("version = 1\n[user ann]\nnt_hash = 12\n", "line 3: nt_hash: an NT hash has 32 hexadecimal digits"),
        ("version = 1\n[user ann]\ngroups = Users, Nobodies\n", "line 3: groups: there is no group 'Nobodies'"),
        ("version = 1\n[user ann]\ngroups = Users,\n", "line 3: groups: there is no group ''"),
        ("version = 1\n[user ann]\ndisabled = maybe\n", "line 3: disabled: expected yes or no"),
        (f"version = 1\n[user ann]\nfull_name = {'x' * 257}\n", "line 3: full_name: "),
        ("version = 1\n[user ann]\n\ud800", "line 3: not UTF-8 text"),
    ],
)
def test_errors_name_line_and_key(text: str, says: str) -> None:
    with pytest.raises(AccountsError) as caught:
        Accounts.parse(text.encode("utf-8", "surrogatepass"))
    assert caught.value.message.startswith(f"accounts, {says}")
    assert caught.value.message.isprintable()


def test_errors_do_not_repeat_a_hash() -> None:
    with pytest.raises(AccountsError) as caught:
        Accounts.parse(b"version = 1\n[user ann]\nnt_hash = " + HASH.hex().encode() + b"00\n")
    assert HASH.hex() not in caught.value.message


@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes_are_accounts_or_an_error(noise: bytes, at: int) -> None:
    accounts = Accounts()
    accounts.add("Ann", "Secret1", groups=[ADMINISTRATORS])
    for data in (noise, accounts.dump()[:at] + noise, b"version = 1\n[user " + noise):
        try:
            parsed = Accounts.parse(data)
        except AccountsError:
            continue
        assert Accounts.parse(parsed.dump()) == parsed


@given(
    st.lists(st.tuples(st.text(), st.text(), st.text(), st.booleans(), st.sets(st.sampled_from([*BUILT_IN_GROUPS]))))
)
def test_whatever_can_be_added_can_be_kept(users: list[tuple[str, str, str, bool, set[str]]]) -> None:
    accounts = Accounts()
    for name, full_name, comment, disabled, groups in users:
        try:
            accounts.add(name, nt_hash=HASH, full_name=full_name, comment=comment, disabled=disabled, groups=groups)
        except LanmanError:
            continue
    assert Accounts.parse(accounts.dump()) == accounts
