"""Databases of an older schema are brought up to date, newer ones and those of something else are refused, unharmed.

A database of schema 1 is made by the first step alone, as the first lanman made it, and filled by the recorder; the
steps behind it run when it is opened. A made-up step behind the newest shows that any step does.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lanman.errors import AccessDenied, LanmanError
from lanman.manage.history import Answer, open_store, postgresql, schema, sqlite
from lanman.manage.history.database import without_password
from support.recorded import DAY, NOON, Clock, Stage, file, session

if TYPE_CHECKING:
    from support.postgres import Postgres

MADE_UP = "ALTER TABLE stay ADD COLUMN made_up {int}; CREATE TABLE made_up (id {serial}, name {text})"


def steps(monkeypatch: pytest.MonkeyPatch, known: tuple[str, ...]) -> None:
    """Have a lanman that knows so many steps."""
    for module in (sqlite, postgresql):
        monkeypatch.setattr(module, "STEPS", known)


async def record_some(url: str) -> Answer:
    clock = Clock()
    rows = session("pc7", "bob", NOON), file(1, "/a.txt", "bob", "pc7")
    async with Stage(url, clock, "fs1") as stage:
        await stage.start()
        fs1 = stage.pollers["fs1"]
        for row in rows:
            fs1.picture.put(row)
        fs1.look(first=True)
        await stage.play()
        clock.now += DAY
        fs1.look(fs1.gone(rows[1]))
        await stage.play()
        await stage.stop()
        return await stage.store.between(NOON, NOON + DAY)


async def answer_of(url: str) -> tuple[Answer, int]:
    async with open_store(url, wall_clock=lambda: NOON + DAY) as store:
        return await store.between(NOON, NOON + DAY), (await store.stats()).schema


@pytest.mark.parametrize("older", range(1, len(schema.STEPS) + 1))
async def test_an_older_schema_is_brought_up_to_date(url: str, older: int, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = (*schema.STEPS, MADE_UP)
    steps(monkeypatch, newest[:older])
    before = await record_some(url)
    assert len(before.stays) == 2
    assert (await answer_of(url))[1] == older
    steps(monkeypatch, newest)
    # Several processes may open it at once.
    answers = await asyncio.gather(*(answer_of(url) for _ in range(3)))
    assert [(answer.stays, found) for answer, found in answers] == [(before.stays, len(newest))] * 3
    async with open_store(url) as store:
        assert await store.database.fetch("SELECT count(*) FROM made_up") == [(0,)]


async def test_a_step_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await record_some(url)
    steps(monkeypatch, (*schema.STEPS, "CREATE TABLE made_up (id {id}); CREATE TABLE stay (id {id})"))
    with pytest.raises(LanmanError, match="exists"):
        await answer_of(url)
    steps(monkeypatch, schema.STEPS)
    assert await answer_of(url) == (before, len(schema.STEPS))
    async with open_store(url) as store:
        with pytest.raises(LanmanError, match="made_up"):
            await store.database.fetch("SELECT count(*) FROM made_up")


async def test_a_newer_schema_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = len(schema.STEPS)
    steps(monkeypatch, (*schema.STEPS, MADE_UP))
    before = await record_some(url)
    steps(monkeypatch, schema.STEPS)
    with pytest.raises(LanmanError, match=f"it has version {newest + 1}, and this lanman knows none after {newest}"):
        await answer_of(url)
    steps(monkeypatch, (*schema.STEPS, MADE_UP))
    assert (await answer_of(url))[0] == before


async def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    text = tmp_path / "notes.txt"
    text.write_text("no database at all, but long enough to be looked at" * 20)
    for path, words in ((other, "is a database of something else"), (text, "file is not a database")):
        before = path.read_bytes()
        with pytest.raises(LanmanError, match=words):
            async with open_store(path):
                pass
        assert path.read_bytes() == before
        assert sorted(each.name for each in tmp_path.iterdir()) == ["notes.txt", "other.sqlite"]


@pytest.mark.posix
async def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.sqlite"
    mask = os.umask(0)
    try:
        async with open_store(f"sqlite://{path}") as store, store.hold("recorder"):
            await store.put_notes("recorder", {"a": "b"})
            kept = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(mask)
    names = ("", "-shm", "-wal", ".recorder")
    assert kept == {f"history.sqlite{behind}": 0o600 for behind in names}
    path.parent.chmod(0o777)
    with pytest.raises(AccessDenied, match="others may write to it"):
        async with open_store(path):
            pass


@pytest.mark.posix
@pytest.mark.root
async def test_root_keeps_no_history_in_folders_of_others(tmp_path: Path) -> None:
    os.chown(tmp_path, 1, 1)
    with pytest.raises(AccessDenied, match="root keeps no history"):
        async with open_store(tmp_path / "history.sqlite"):
            pass
    os.chown(tmp_path, 0, 0)


async def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path))
    with pytest.raises(LanmanError, match="nothing was recorded there"):
        open_store(make=False)
    assert open_store().name == str(tmp_path / "history.sqlite")
    assert open_store(home=tmp_path / "other").name == str(tmp_path / "other" / "history.sqlite")
    for url in (f"sqlite://{tmp_path}/a%20b", f"sqlite:///{tmp_path}/a%20b"):
        assert open_store(url).name == str(tmp_path / "a b")
    for wrong in ("", "mysql://x/y"):
        with pytest.raises(LanmanError, match="is no database"):
            open_store(wrong)


def test_a_password_is_not_shown() -> None:
    url = "postgresql://bob:secret@db.example:5433/history?password=secret&search_path=x"
    assert without_password(url) == "postgresql://bob@db.example:5433/history?search_path=x"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("postgresql://ann:se/cret@db:5433/x", "postgresql://ann@db:5433/x"),
        ("postgresql://ann:se#cret@db/x", "postgresql://ann@db/x"),
        ("postgresql://ann:se?cret@db/x?search_path=y", "postgresql://ann@db/x?search_path=y"),
        ("postgresql://ann:se@cret@db/x", "postgresql://ann@db/x"),
        ("postgresql://ann:secret@[::1/x", "postgresql://ann@[::1/x"),
        ("postgresql://db/x?sslpassword=secret&pass%77ord=secret", "postgresql://db/x"),
        ("mysql://ann:secret@db/x", "mysql://ann@db/x"),
        ("postgresql:ann:secret@db/x", "postgresql:ann@db/x"),
    ],
)
def test_a_password_is_not_shown_in_a_url_that_is_wrong(typed: str, shown: str) -> None:
    assert without_password(typed) == shown
    if not typed.startswith("postgresql://"):
        with pytest.raises(LanmanError) as failed:
            open_store(typed)
        assert shown in failed.value.message
        assert "secret" not in failed.value.with_hint


@pytest.mark.parametrize("account", ["ann:pa/secret", "ann:pa#secret", "ann:pa?secret", "ann:pa[secret"])
async def test_an_error_quotes_no_part_of_a_password(account: str) -> None:
    pytest.importorskip("asyncpg")
    with pytest.raises(LanmanError) as failed:
        async with open_store(f"postgresql://{account}@127.0.0.1:1/x"):
            pass
    assert failed.value.message == "postgresql://ann@127.0.0.1:1/x: is no URL of PostgreSQL"
    assert "'pa'" not in failed.value.with_hint


async def test_a_role_that_may_only_read_can_ask(postgresql: Postgres) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    url = postgresql.new_database()
    whole = await record_some(url)
    name = url.rpartition("=")[2]
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            f"CREATE ROLE auditor LOGIN; GRANT USAGE ON SCHEMA {name} TO auditor; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO auditor"
        )
    finally:
        await connection.close()
    assert (await answer_of(url.replace("//postgres@", "//auditor@")))[0].stays == whole.stays
    async with open_store(url.replace("//postgres@", "//auditor@")) as store:
        with pytest.raises(LanmanError, match="permission denied"):
            await store.put_notes("policy", {"a": "b"})


async def test_nothing_recorded_is_no_answer_that_nobody_was_there(url: str) -> None:
    async with open_store(url, wall_clock=lambda: NOON) as store:
        await store.put_notes("policy", {"a": "b"})  # as a policy does, where nobody records
        for question in (
            store.at(NOON),
            store.between(NOON - DAY, NOON),
            store.who("*"),
            store.by_user("bob"),
            store.by_client("pc7"),
            store.gaps(),
            anext(store.export(NOON - DAY, NOON)),
        ):
            with pytest.raises(LanmanError, match="nothing was recorded there"):
                await question
        assert (await store.stats()).watched == []


async def test_a_database_that_is_not_there(new_url: Callable[[], str], tmp_path: Path) -> None:
    pytest.importorskip("asyncpg")
    with pytest.raises(LanmanError) as failed:
        async with open_store(f"postgresql://bob:secret@/x?host={tmp_path}"):
            pass
    assert "secret" not in failed.value.with_hint
