"""Deleting what is kept of a person: all of it, of nobody else, and while nobody records."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanman.errors import Win32Error
from lanman.manage.history import AlreadyHeld, Deed, open_store
from lanman.manage.history.forgetting import delete_traces, traces_of
from lanman.manage.watching.rows import Row
from support.recorded import NOON, Clock, Stage, file, session

SECRET = r"D:\dismissals\smith.docx"


async def recorded(url: str) -> Stage:
    """bob, with a file of his own and one that others had too; carol; and what was done to both."""
    clock = Clock()
    stage = await Stage(url, clock, "fs1").__aenter__()
    await stage.start()
    fs1 = stage.pollers["fs1"]
    bob, carol = session(r"\\pc7", "bob", NOON - 600), session(r"\\pc8", "carol", NOON - 600)
    rows: list[Row] = [
        bob,
        carol,
        file(1, SECRET, "bob", r"\\pc7"),
        file(2, r"D:\plan", "bob"),
        file(3, r"D:\plan", "carol"),
    ]
    for row in rows:
        fs1.picture.put(row)
    fs1.look(first=True)
    await stage.play()
    deeds = [
        Deed(NOON, "fs1", "ann", "end", "done", "session:1", r"\\pc7", "bob"),
        Deed(NOON, "fs1", "bob", "end", "done", "session:2", r"\\pc8", "carol"),
        Deed(NOON, "fs1", "ann", "close", "done", "file:1", None, "bob", SECRET),
    ]
    await stage.store.note_deed(*deeds)
    return stage


async def test_all_of_one_user_and_of_nobody_else(url: str) -> None:
    stage = await recorded(url)
    with pytest.raises(AlreadyHeld):
        async with open_store(url) as other:
            await delete_traces(other, user="bob")
    await stage.stop()
    assert await traces_of(stage.store, user="bob") == (("\\\\pc7", "bob"), 3, 2)
    found = await delete_traces(stage.store, user="BOB")
    assert (found.rows, found.deeds, found.nothing) == (3, 2, False)
    assert (await stage.store.by_user("bob")).stays == []
    assert {stay.user_name for stay in (await stage.store.between(0, NOON + 10)).stays} == {"carol"}
    # What bob has done to carol is about carol.
    assert [(deed.who, deed.user_name) for deed in await stage.store.deeds(0, NOON + 10)] == [("bob", "carol")]
    assert (await traces_of(stage.store, user="bob")).nothing
    [(paths,)] = await stage.store.database.fetch("SELECT count(*) FROM path WHERE path = ?", (SECRET,))
    [(persons,)] = await stage.store.database.fetch("SELECT count(*) FROM person WHERE user_name = ?", ("bob",))
    assert (paths, persons) == (0, 0)
    await stage.store.close()


async def test_of_a_client_and_of_a_user_at_a_client(url: str) -> None:
    stage = await recorded(url)
    await stage.stop()
    assert (await traces_of(stage.store, user="bob", client="pc8")).nothing
    assert (await delete_traces(stage.store, user="bob", client="pc7")).rows == 2
    left = [stay.path for stay in (await stage.store.by_user("bob")).stays]
    assert left == [r"D:\plan"]  # from where is not known
    assert (await delete_traces(stage.store, client="pc8")).rows == 1
    assert {stay.user_name for stay in (await stage.store.between(0, NOON + 10)).stays} == {"bob", "carol"}
    await stage.store.close()


async def test_nothing_is_left_in_the_file(tmp_path: Path) -> None:
    place = tmp_path / "history"
    stage = await recorded(str(place))
    await stage.stop()
    await delete_traces(stage.store, user="bob")
    await stage.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"carol" in kept
    assert b"dismissals" not in kept


@pytest.mark.parametrize("who", [{"user": ""}, {"client": ""}, {"client": "\\\\"}, {"user": "bob", "client": ""}])
async def test_an_empty_name_means_nobody(tmp_path: Path, who: dict[str, str]) -> None:
    async with open_store(tmp_path / "history") as store:
        with pytest.raises(Win32Error):
            await delete_traces(store, **who)
        with pytest.raises(ValueError, match="name a user or a client"):
            await delete_traces(store)
