"""`lanman share` as it shares, changes and stops sharing: what it says, asks, refuses, and tells the Manager."""

from __future__ import annotations

import json
import os

import pytest

from lanman import codes
from lanman.errors import AccessDenied, Win32Error
from lanman.manage.own import DetailedShare
from lanman.records import ConnectionInfo, ShareInfo
from support.fake_manager import Command

# What a folder is called in full: Windows puts a drive before it.
SRV, NEW = os.path.abspath("/srv"), os.path.abspath("/srv/new")


@pytest.fixture
def sharing(command: Command) -> Command:
    command.manager.shared = [
        ShareInfo("IPC$", 0x80000003, "Remote IPC", path=""),
        ShareInfo("docs", 0, "", 0, 0xFFFFFFFF, 2, "/srv/docs", "", 0),
        ShareInfo("far", 0, "", 0, 0xFFFFFFFF, 2, r"C:\srv\far", "", 0),
    ]
    return command


@pytest.fixture
def told(sharing: Command) -> list[object]:
    """What the Manager is told to do, leaving and looking aside."""
    return sharing.manager.told


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["share", "new=/srv/new"], ("add_share", "new", NEW, "", 0)),
        (["share", "new=sub/../x"], ("add_share", "new", os.path.abspath("x"), "", 0)),
        (
            ["SHARE", "new=/srv/new", "/REMARK:for all", "/USERS:5"],
            ("add_share", "new", NEW, "for all", 5),
        ),
        (["share", "/unl", "/rem:x", "new=/srv"], ("add_share", "new", SRV, "x", 0)),
        (["share", "new=/srv", "--users", "1", "--remark=x"], ("add_share", "new", SRV, "x", 1)),
        (["share", r"new=C:\data", "-S", "fs1", "-N"], ("add_share", "new", r"C:\data", "", 0)),
        (["share", "docs", "/remark:"], ("set_share", "docs", "", None)),
        (["share", "docs", "/users:7"], ("set_share", "docs", None, 7)),
        (["share", "docs", "/unlimited", "/remark:x"], ("set_share", "docs", "x", 0)),
        (["share", "docs", "/delete"], ("delete_share", "docs")),
        (["share", "/srv/docs", "/d"], ("delete_share", "docs")),
        (["share", "/srv/docs/", "/d"], ("delete_share", "docs")),
        (["share", "/srv/far", "/d"], ("delete_share", "far")),
        (["share", r"C:\srv\far", "/d"], ("delete_share", "far")),
    ],
)
def test_what_is_told(sharing: Command, told: list[object], words: list[str], asked: tuple[object, ...]) -> None:
    result = sharing(words)
    assert (result.status, result.err) == (0, "")
    assert asked in told
    line = {"add_share": "new was shared successfully.", "delete_share": f"{asked[1]} was deleted successfully."}
    assert result.out == line.get(str(asked[0]), "The command completed successfully.") + "\n\n"


def test_what_guests_may_do_is_told_where_it_is_known(sharing: Command) -> None:
    open_to_all = DetailedShare("pub", 0, "", 0, 0xFFFFFFFF, 2, "/srv/pub", "", 0, guest="write")
    closed = DetailedShare("own", 0, "", 0, 0xFFFFFFFF, 2, "/srv/own", "", 0, guest="")
    sharing.manager.shared += [open_to_all, closed]
    assert "Guests            May read and write\n" in sharing("share pub").out
    for name in ("own", "docs"):
        assert "Guests" not in sharing(f"share {name}").out
    listed = {entry["name"]: entry["guest"] for entry in json.loads(sharing("share --json").out)["shares"]}
    assert listed == {"IPC$": None, "docs": None, "far": None, "pub": "write", "own": False}


def test_as_data(sharing: Command) -> None:
    assert json.loads(sharing("share new=/srv --json").out)["shared"] == ["new"]
    assert json.loads(sharing("share docs /users:3 --json").out)["changed"] == ["docs"]
    assert json.loads(sharing("share docs /delete --json").out)["deleted"] == ["docs"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["share", "x" * 81 + "=/srv"], "The syntax is incorrect."),
        (["share", "=/srv"], "The syntax is incorrect."),
        (["share", "a*b=/srv"], "The syntax is incorrect."),
        (["share", "new="], "The syntax is incorrect."),
        (["share", "/delete"], "The syntax is incorrect."),
        (["share", ""], "The syntax is incorrect."),
        (["share", "", "/delete", "/y"], "The syntax is incorrect."),
        (["share", "/users:3"], "The syntax is incorrect."),
        (["share", "new=/srv", "/delete"], "The syntax is incorrect."),
        (["share", "docs", "/delete", "/users:3"], "The syntax is incorrect."),
        (["share", "new=/srv", "/users:-5"], "You entered an invalid value for the /USERS option."),
        (["share", "new=/srv", "/users:abc"], "You entered an invalid value for the /USERS option."),
        (["share", "new=/srv", "/users:0"], "You entered an invalid value for the /USERS option."),
        (["share", "new=/srv", "/users"], "You entered an invalid value for the /users option."),
        (["share", "new=/srv", "/remark:" + "x" * 49], "You entered an invalid value for the /REMARK option."),
        (["share", "new=/srv", "/remark:a\nb"], "You entered an invalid value for the /REMARK option."),
        (["share", "new=/srv", "/users:3", "/unlimited"], "conflicting switches"),
        (["share", "new=/srv", "/cache:none"], "The option /cache is unknown."),
    ],
)
def test_wrong_syntax(sharing: Command, told: list[object], words: list[str], message: str) -> None:
    result = sharing(words)
    assert result.status == 1
    assert message in result.err, result.err
    assert not told


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (Win32Error(codes.NERR_DuplicateShare), 2, "The name has already been shared."),
        (Win32Error(codes.NERR_UnknownDevDir), 2, "The device or directory does not exist."),
        (AccessDenied(), 5, "Access is denied."),
    ],
)
def test_refusals(sharing: Command, error: Win32Error, status: int, says: str) -> None:
    sharing.manager.refuses["add_share"] = error
    result = sharing("share new=/srv")
    assert (result.status, result.out) == (status, "")
    assert says in result.err


def test_unknown_shares(sharing: Command) -> None:
    for words in ("share none /delete", "share none /users:3", "share /srv/none /delete"):
        result = sharing(words)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith("This shared resource does not exist.\n"), words


OPEN = (
    "Users have open files on docs.  Continuing the operation will force the files closed.\n\n"
    "Do you want to continue this operation? (Y/N) [N]: "
)


@pytest.mark.parametrize(
    ("words", "answers", "status", "deleted"),
    [
        ("share docs /delete", "y\n", 0, True),
        ("share docs /delete", "n\n", 2, False),
        ("share docs /delete", "\n", 2, False),
        ("share docs /delete", "", 2, False),
        ("share docs /delete /y", "", 0, True),
        ("share docs /delete /n", "", 2, False),
    ],
)
def test_open_files_are_asked_about(
    sharing: Command, told: list[object], words: str, answers: str, status: int, deleted: bool
) -> None:
    sharing.manager.tree_connects = [ConnectionInfo(1, 0, 3, 1, 1, "ann", "pc")]
    result = sharing(words, answers)
    assert (result.status, ("delete_share", "docs") in told) == (status, deleted)
    assert result.out.startswith(OPEN) == (not words.endswith(("/y", "/n")))


def test_where_the_server_does_not_tell_it_is_asked_too(sharing: Command, told: list[object]) -> None:
    sharing.manager.refuses["connections"] = Win32Error(codes.ERROR_NOT_SUPPORTED)
    assert sharing("share docs /delete", "n\n").status == 2
    assert ("delete_share", "docs") not in told


@pytest.mark.parametrize("limit", ["-5", "abc", "99999999999", "windows95"])
def test_a_limit_that_is_none(command: Command, limit: str) -> None:
    result = command(["serve", f"--max-sessions={limit}"])
    assert result.status == 1
    assert "You entered an invalid value for the --max-sessions option." in result.err
    assert "workstation" in result.err


def test_a_folder_that_is_shared_twice_names_no_share(sharing: Command, told: list[object]) -> None:
    sharing.manager.shared.append(ShareInfo("docs2", 0, "", 0, 0xFFFFFFFF, 0, "/srv/docs/", "", 0))
    result = sharing(["share", "/srv/docs", "/delete", "/y"])
    assert (result.status, result.out) == (2, "")
    assert "docs, docs2" in result.err
    assert not any(isinstance(one, tuple) and one[0] == "delete_share" for one in told)
