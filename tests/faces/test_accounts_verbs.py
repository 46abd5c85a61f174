"""`lanman user` and `lanman localgroup`: the accounts of a home."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lanman.net.accounts import AccountFile
from support.fake_manager import Command


@pytest.fixture
def at_home(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path / "home"))
    return command


def test_a_user_comes_and_goes(at_home: Command, tmp_path: Path) -> None:
    success = "The command completed successfully.\n\n"
    assert at_home("user ann secret /add").out == success
    assert at_home(["user", "bob", "*", "/add", "/fullname:Bob B.", "/active:no"], "word with blanks \n").out == success
    file = tmp_path / "home" / "accounts"
    assert os.name != "posix" or file.stat().st_mode & 0o777 == 0o600
    accounts = AccountFile(file).read()
    assert accounts.account("bob").disabled
    assert accounts.account("bob").full_name == "Bob B."
    assert accounts.account("ann").nt_hash != accounts.account("bob").nt_hash
    assert at_home("user").out == (
        f"\nUser accounts of this Server\n\n{'-' * 79}\nann                      bob\n{success}"
    )
    before = accounts.account("ann").nt_hash
    assert at_home("user ANN other").out == success
    assert AccountFile(file).read().account("ann").nt_hash != before
    assert at_home("user bob /delete").out == success
    assert [entry["name"] for entry in json.loads(at_home("user --json").out)["users"]] == ["ann"]


def test_changes_are_data_where_data_is_wanted(at_home: Command) -> None:
    added = json.loads(at_home("user ann secret /add --json").out)
    assert (added["schema"], [entry["name"] for entry in added["users"]]) == (1, ["ann"])
    assert json.loads(at_home("localgroup administrators ann /add --json").out)["groups"][0]["members"] == ["ann"]
    assert at_home("localgroup Auditors /add --csv").out == '"name","comment","members"\n"Auditors","",""\n'
    assert json.loads(at_home("localgroup Auditors /delete --json").out) == {"schema": 1, "groups": []}
    assert json.loads(at_home("user ann /delete --json").out) == {"schema": 1, "users": []}


def test_one_user(at_home: Command) -> None:
    at_home("user ann secret /add")
    at_home("localgroup administrators ann /add")
    assert at_home("user ann").out == (
        "User name                    ann\n"
        "Full Name\n"
        "Comment\n"
        "Account active               Yes\n"
        "Password set                 Yes\n"
        "\n"
        "Local Group Memberships      *Administrators\n"
        "                             *Users\n"
        "The command completed successfully.\n\n"
    )
    shown = at_home("user ann --json").out
    assert json.loads(shown)["users"][0]["groups"] == ["Administrators", "Users"]
    assert "hash" not in shown


def test_groups(at_home: Command) -> None:
    at_home("user ann secret /add")
    assert at_home("localgroup").out.splitlines()[4] == "*Administrators          *Guests                  *Power Users"
    assert at_home(["localgroup", "Server Operators", "ann", "/add"]).status == 0
    assert at_home(["localgroup", "server operators"]).out == (
        "Alias name     Server Operators\n"
        "Comment        Members can manage sessions, open files and shares\n"
        f"\nMembers\n\n{'-' * 79}\nann\nThe command completed successfully.\n\n"
    )
    assert at_home(["localgroup", "Auditors", "/comment:may look", "/add"]).status == 0
    assert at_home("localgroup Auditors ann /add").status == 0
    assert at_home("localgroup Auditors ann /delete").status == 0
    assert at_home("localgroup Auditors /delete").status == 0
    groups = {entry["name"]: entry["members"] for entry in json.loads(at_home("localgroup --json").out)["groups"]}
    assert groups["Server Operators"] == ["ann"]
    assert "Auditors" not in groups


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ("user nobody", 2, 2221),
        ("user nobody /delete", 2, 2221),
        ("user ann x /add", 2, 2224),
        ("user a/b x /add", 2, 2202),
        ("localgroup nothing", 2, 2220),
        ("localgroup nothing ann /add", 2, 2220),
        ("localgroup Users nobody /add", 2, 2221),
        ("localgroup Users ann /add", 2, 1378),
        ("localgroup Guests ann /delete", 2, 1377),
        ("localgroup Guests /delete", 2, 2234),
        ("user -S fs1 -N", 2, 50),
        ("user /add", 1, 3503),
        ("user ann x /delete", 1, 3510),
        ("user ann /active:perhaps", 1, 3952),
        ("localgroup Users ann", 1, 3503),
        ("localgroup Users ann /add /delete", 1, 3510),
        ("localgroup Users ann /comment:x /add", 1, 3510),
    ],
)
def test_mistakes(at_home: Command, words: str, status: int, code: int) -> None:
    at_home("user ann secret /add")
    result = at_home(words)
    assert (result.status, result.out) == (status, "")
    assert f"HELPMSG {code}" in result.err or f"System error {code} has" in result.err
    assert "Traceback" not in result.err


def test_a_mistake_names_who_was_meant(at_home: Command) -> None:
    at_home("user ann secret /add")
    assert "nobody" in at_home("localgroup Users nobody /add").err
    assert "nothing" in at_home("localgroup nothing ann /add").err


def test_an_account_without_a_password_says_so(at_home: Command) -> None:
    result = at_home("user ann /add")
    assert result.status == 0
    assert "ann cannot log on before it has a password" in result.err


def test_no_password_given_is_no_password(at_home: Command) -> None:
    result = at_home(["user", "ann", "*", "/add"], "")
    assert result.status == 2
    assert "NET HELPMSG 3757" in result.err


@pytest.mark.parametrize("words", ["user ann /delete", "user ann /active:no", "localgroup Administrators ann /delete"])
def test_the_last_administrator(at_home: Command, words: str) -> None:
    at_home("user ann secret /add")
    at_home("user bob secret /add")
    at_home("localgroup Administrators ann bob /add")
    at_home("user bob /active:no")  # who may not log on is none
    result = at_home(words)
    assert result.status == 0
    assert "administration account being disabled, deleted or unable to logon" in result.err
    assert "lanman localgroup Administrators NAME /add" in result.err
    assert at_home("user bob /active:no").err == ""  # it is said once


def test_an_administrator_who_is_not_the_last(at_home: Command) -> None:
    for name in ("ann", "bob"):
        at_home(f"user {name} secret /add")
        at_home(f"localgroup Administrators {name} /add")
    assert at_home("user ann /delete").err == ""
