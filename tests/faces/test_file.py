"""`lanman file` against a fake server."""

from __future__ import annotations

import json
import time

import pytest

from lanman.errors import AccessDenied
from lanman.faces.cli.verbs.file import file_block
from lanman.faces.text import kept_for
from lanman.manage.own import DetailedFile
from lanman.records import FileInfo
from support.fake_manager import Command


def some_files() -> list[FileInfo]:
    return [
        FileInfo(1140850707, 1, 0, r"C:\data\projects\plan.xlsx", "mira.holt"),
        FileInfo(1140850711, 3, 2, r"C:\data\projects\2024\quarters\budget-final.xlsx", "jonas"),
        FileInfo(4294967295, 0, 0, r"\PIPE\srvsvc", "a-user-with-a-long-name"),
    ]


TABLE = r"""
ID         Path                                    User name            # Locks

-------------------------------------------------------------------------------
1140850707 C:\data\projects\plan.xlsx              mira.holt            0
1140850711 C:\data\...\quarters\budget-final.xlsx  jonas                2
4294967295 \PIPE\srvsvc                            a-user-with-a-lon... 0
The command completed successfully.

"""


@pytest.mark.parametrize("words", ["file", "FILES"])
def test_table(command: Command, words: str) -> None:
    command.manager.opened = some_files()
    result = command(words)
    assert (result.status, result.out, result.err) == (0, TABLE, "")


def test_empty_list(command: Command) -> None:
    assert command("file").out == "There are no entries in the list.\n\n"
    assert command("file --path *.tmp").status == 0


def test_one_file(command: Command) -> None:
    command.manager.opened = some_files()
    assert command("file 1140850711").out == (
        "File ID          1140850711\n"
        "User name        jonas\n"
        "Locks            2\n"
        "Path             C:\\data\\projects\\2024\\quarters\\budget-final.xlsx\n"
        "Permissions      READ WRITE\n"
        "The command completed successfully.\n\n"
    )


@pytest.mark.parametrize("words", ["file 99999", "file 99999 /close", "file --path *.nothing /close /y"])
def test_no_such_file(command: Command, words: str) -> None:
    command.manager.opened = some_files()
    result = command(words)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(
        "There is not an open file with that identification number.\n\n"
        "More help is available by typing NET HELPMSG 2314.\n\n"
    )
    assert "99999" in result.err or "*.nothing" in result.err


@pytest.mark.parametrize("id", ["abc", "-1", "12345678901", "4294967296", "0x10", "1.5", "\u0661", ""])
def test_what_is_no_file_number(command: Command, id: str) -> None:
    result = command(["file", "--close", "--", id])
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("You specified an invalid file number.\n")
    assert "NET HELPMSG 3960" in result.err


def test_close_one(command: Command) -> None:
    command.manager.opened = some_files()
    result = command("file 1140850711 /c")
    assert (result.status, result.out, result.err) == (0, "The command completed successfully.\n\n", "")
    assert len(command.manager.opened) == 2


@pytest.mark.parametrize("words", ["file 1140850707 1140850711 /close", "file /c 1140850711 1140850707 1140850711"])
def test_close_several(command: Command, words: str) -> None:
    command.manager.opened = some_files()
    result = command(words)
    assert (result.status, result.out, result.err) == (0, "The command completed successfully.\n\n", "")
    assert [entry.id for entry in command.manager.opened] == [4294967295]


def test_close_several_of_which_one_is_not_open(command: Command) -> None:
    command.manager.opened = some_files()
    result = command("file 7 1140850711 /close --json")
    assert result.status == 2
    assert [(one["id"], one["path"], one["error"]) for one in json.loads(result.out)["closed"]] == [
        (7, None, 2314),
        (1140850711, r"C:\data\projects\2024\quarters\budget-final.xlsx", None),
    ]
    assert "7:\nThere is not an open file with that identification number." in result.err
    assert [entry.id for entry in command.manager.opened] == [1140850707, 4294967295]
    # One that is no number closes none.
    assert command("file 1140850707 x /close").status == 1
    assert len(command.manager.opened) == 2


@pytest.mark.parametrize("words", ["file /close", "file 7 8", "file 7 --user ann"])
def test_wrong_syntax(command: Command, words: str) -> None:
    result = command(words)
    assert result.status == 1
    assert "lanman file [ID | ID... /CLOSE]" in result.err


def test_filters_choose_what_is_shown(command: Command) -> None:
    command.manager.opened = some_files()
    assert "plan.xlsx" not in command("file --user jonas").out
    shown = command(["file", "--path", "/DATA/projects/*.xlsx"]).out
    assert "plan.xlsx" in shown
    assert "srvsvc" not in shown


def test_filters_choose_what_is_closed(command: Command) -> None:
    command.manager.opened = some_files()
    refused = command("file --path *.xlsx /close", "n\n")
    assert refused.status == 2
    assert "plan.xlsx" in refused.out
    assert refused.out.endswith("Do you want to continue this operation? (Y/N) [N]: ")
    assert len(command.manager.opened) == 3
    result = command("file --path *.xlsx /close /y")
    assert (result.status, result.out) == (0, "The command completed successfully.\n\n")
    assert [entry.path for entry in command.manager.opened] == [r"\PIPE\srvsvc"]


def test_one_that_cannot_be_closed_does_not_keep_the_others_open(command: Command) -> None:
    command.manager.opened = some_files()
    command.manager.refuses[r"C:\data\projects\plan.xlsx"] = AccessDenied()
    result = command("file --path *.xlsx /close /y --json")
    assert result.status == 5
    assert [entry["error"] for entry in json.loads(result.out)["closed"]] == [5, None]
    assert len(command.manager.opened) == 2


def test_json_and_csv(command: Command) -> None:
    command.manager.opened = some_files()[:1]
    assert json.loads(command("file --json").out) == {
        "schema": 1,
        "server": "FILER01",
        "files": [
            {
                "id": 1140850707,
                "path": r"C:\data\projects\plan.xlsx",
                "user_name": "mira.holt",
                "num_locks": 0,
                "permissions": 1,
                "oplock": None,
                "lease": None,
                "lease_key": None,
                "durable": None,
                "owner": None,
                "expires_at": None,
            }
        ],
    }
    assert command("file --csv").out == (
        '"id","path","user_name","num_locks","permissions"\n'
        '"1140850707","C:\\data\\projects\\plan.xlsx","mira.holt","0","1"\n'
    )
    assert next(iter(json.loads(command("file 1140850707 --json").out)["files"][0])) == "id"


@pytest.mark.parametrize("option", ["--path=", "--user=", "--user=EXAMPLE\\", "--client=", "/PATH:"])
@pytest.mark.parametrize("rest", [[], ["/close", "/y"]])
def test_an_empty_filter_is_refused(command: Command, option: str, rest: list[str]) -> None:
    command.manager.opened = some_files()
    result = command(["file", option, *rest])
    assert (result.status, result.out) == (1, "")
    assert "empty" in result.err
    assert len(command.manager.opened) == 3


def test_a_path_as_it_is_listed_closes_itself_alone(command: Command) -> None:
    paths = [r"C:\data\[ab].txt", r"C:\data\a.txt", r"C:\data\b.txt", r"C:\data", r"C:\data\*.txt", r"C:\DATA\A.TXT"]
    for typed in paths:
        command.manager.opened = [FileInfo(id, 1, 0, path, "ann") for id, path in enumerate(paths, 1)]
        assert command(["file", "--path", typed, "/close", "/y"]).status == 0
        assert [entry.path for entry in command.manager.opened] == [path for path in paths if path != typed]
    command.manager.opened = [FileInfo(id, 1, 0, path, "ann") for id, path in enumerate(paths, 1)]
    assert command(["file", "--path", r"c:\data\*", "/close", "/y"]).status == 0
    assert [entry.path for entry in command.manager.opened] == [r"C:\data"]


def test_a_file_without_a_user_may_be_kept_and_a_pipe_may_not() -> None:
    """Over MS-SRVS nothing says for whom (MS-SMB2 3.3.4.20)."""
    words = "Kept for         owner unknown: it is kept for a client whose connection was lost, or a null session's"
    assert words in " ".join(file_block(FileInfo(1, 3, 0, "C:\\a", "")))
    for other in (
        FileInfo(1, 3, 0, r"\PIPE\srvsvc", ""),
        FileInfo(1, 3, 0, "C:\\a", "ann"),
        FileInfo(1, 3, 0, "C:\\a"),
    ):
        assert "owner unknown" not in " ".join(file_block(other))


def test_for_whom_a_file_is_kept_is_shown() -> None:
    kept = DetailedFile(7, 3, 0, "/srv/a", "", durable=True, owner="bob", expires_at=time.time() + 77.5)
    assert f"Kept for{' ' * 9}bob, whose connection was lost, 00:01:17 more" in list(file_block(kept))
    live = DetailedFile(7, 3, 0, "/srv/a", "bob", durable=True, owner="")
    assert f"Durable{' ' * 10}yes" in list(file_block(live))
    assert kept_for("bob", None, 0.0) == "bob, whose connection was lost"
    assert kept_for("bob", 5.0, 60.0) == "bob, whose connection was lost, 00:00:00 more"
