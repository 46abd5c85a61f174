"""The stream of a browser: what it tells, how it goes on, and how it ends."""

from __future__ import annotations

import asyncio

from support.hub_stage import Stage, session, staged


def test_hello_and_a_delta() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        browser = stage.stream(ann)
        await asyncio.sleep(1)
        (hello,) = browser.events
        assert hello.name == "hello"
        (server,) = hello["servers"]
        assert (server["name"], server["state"], server["level"]) == ("fs1", "up", 502)
        stage.server.sessions.append(session(r"\\\\pc8", "dave", age=1))
        await asyncio.sleep(3)
        delta = browser.events[-1]
        assert delta.name == "delta"
        assert [row["user_name"] for row in delta["open"]] == ["dave"]
        await browser.leave()

    staged(test)
