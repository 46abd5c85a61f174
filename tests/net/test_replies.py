"""Answers that wake the task which waits for them there and then."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from lanman.net.replies import Reply


async def waiting(reply: Reply[int], seen: list[object]) -> None:
    try:
        seen.append(await reply)
    except (ValueError, asyncio.CancelledError) as error:
        seen.append(type(error))


async def started(reply: Reply[int], seen: list[object]) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(waiting(reply, seen))
    await asyncio.sleep(0)
    assert not seen
    return task


async def test_the_loop_s_side_runs_who_waits_at_once() -> None:
    loop = asyncio.get_running_loop()
    reply: Reply[int] = Reply(loop)
    seen: list[object] = []
    task = await started(reply, seen)
    later: asyncio.Future[None] = loop.create_future()

    def arrives() -> None:
        reply.set_result(7)
        assert not seen
        reply.wake()
        assert seen == [7]
        reply.wake()  # nobody waits any more
        later.set_result(None)

    loop.call_soon(arrives)
    await later
    await task
    assert seen == [7]
    assert (reply.done(), reply.cancelled(), reply.exception(), reply.result()) == (True, False, None, 7)


async def test_within_a_task_it_is_the_next_turn() -> None:
    reply: Reply[int] = Reply(asyncio.get_running_loop())
    seen: list[object] = []
    task = await started(reply, seen)
    reply.set_result(7)
    reply.wake()
    assert not seen
    await task
    assert seen == [7]


async def test_an_answer_that_was_there_first_takes_no_turn() -> None:
    reply: Reply[int] = Reply(asyncio.get_running_loop())
    with pytest.raises(asyncio.InvalidStateError):
        reply.result()
    reply.set_result(7)
    reply.wake()
    assert await reply == 7


async def test_a_failure_is_raised_where_it_is_waited_for() -> None:
    reply: Reply[int] = Reply(asyncio.get_running_loop())
    seen: list[object] = []
    task = await started(reply, seen)
    reply.set_exception(ValueError("no"))
    assert not seen
    await task
    assert seen == [ValueError]
    with pytest.raises(ValueError, match="no"):
        reply.result()
    assert not reply.cancel()


async def test_a_task_that_is_cancelled_gives_its_answer_up() -> None:
    reply: Reply[int] = Reply(asyncio.get_running_loop())
    seen: list[object] = []
    task = await started(reply, seen)
    task.cancel()
    assert reply.cancelled()
    await task
    assert seen == [asyncio.CancelledError]


async def test_a_timeout_ends_the_waiting() -> None:
    reply: Reply[int] = Reply(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await reply
    assert reply.cancelled()


async def test_one_task_waits() -> None:
    reply: Reply[int] = Reply(asyncio.get_running_loop())
    seen: list[object] = []
    task = await started(reply, seen)

    async def also() -> None:
        await reply

    with pytest.raises(RuntimeError, match="another task waits"):
        await asyncio.get_running_loop().create_task(also())
    reply.set_result(1)
    reply.wake()
    await task


async def test_it_runs_in_the_context_of_its_task() -> None:
    variable = contextvars.ContextVar("variable", default="loop's")
    loop = asyncio.get_running_loop()
    reply: Reply[int] = Reply(loop)
    seen: list[str] = []

    async def work() -> None:
        variable.set("the task's")
        await reply
        seen.append(variable.get())

    task = loop.create_task(work())
    await asyncio.sleep(0)
    later: asyncio.Future[str] = loop.create_future()

    def arrives() -> None:
        reply.set_result(7)
        reply.wake()
        later.set_result(variable.get())

    loop.call_soon(arrives, context=contextvars.Context())
    assert await later == "loop's"
    await task
    assert seen == ["the task's"]


async def test_who_is_cancelled_ends_although_nobody_tells_that_the_answer_is_there() -> None:
    reply: Reply[int] = Reply(asyncio.get_running_loop())
    task = await started(reply, [])
    reply.set_result(1)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.done()
    reply.wake()
