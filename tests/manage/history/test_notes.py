"""Notes of a role, and deeds with them, in both databases; and databases from before there were notes."""

from __future__ import annotations

import asyncio

import pytest

from lanman.manage.history import Deed, open_store
from lanman.manage.history.schema import STEPS


def test_notes_are_kept_replaced_and_removed(url: str) -> None:
    async def main() -> None:
        async with open_store(url) as store:
            assert await store.notes("policy") == {}
            await store.put_notes("policy", {"a": "1", "b": "2"}, Deed(7, "fs1", "root", "end", "done", plan="night"))
            await store.put_notes("policy", {"a": "3", "b": None, "c": '{"x": "\ud800\x00"}'})
            await store.put_notes("other", {"a": "4"})
        async with open_store(url) as store:
            assert await store.notes("policy") == {"a": "3", "c": '{"x": "\\ud800\\x00"}'}
            assert await store.notes("other") == {"a": "4"}
            assert [deed.plan for deed in await store.deeds(0, 10)] == ["night"]

    asyncio.run(main())


def test_what_cannot_be_written_leaves_everything_as_it_was(url: str) -> None:
    async def main() -> None:
        async with open_store(url) as store:
            await store.put_notes("policy", {"a": "1"})
            broken = Deed(7, None, "root", "end", "done")  # type: ignore[arg-type]
            with pytest.raises(Exception, match=r"(?i)null"):
                await store.put_notes("policy", {"a": "2"}, broken)
            assert await store.notes("policy") == {"a": "1"}

    asyncio.run(main())


def test_a_database_without_notes_gets_them(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with monkeypatch.context() as older:
            for name in ("sqlite", "postgresql"):
                older.setattr(f"lanman.manage.history.{name}.STEPS", STEPS[:1])
            async with open_store(url) as store:
                await store.note_deed(Deed(7, "fs1", "root", "end", "done", plan="night"))
                assert (await store.stats()).schema == 1
        async with open_store(url) as store:
            assert (await store.stats()).schema == len(STEPS)
            assert await store.notes("policy") == {}
            await store.put_notes("policy", {"a": "1"})
            assert await store.notes("policy") == {"a": "1"}
            assert [deed.plan for deed in await store.deeds(0, 10)] == ["night"]

    asyncio.run(main())
