"""Several nodes as one Manager: lists, filters, orders, and what happens where a node is away. By virtual time."""

from __future__ import annotations

import asyncio

import pytest

from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost, TimedOut, Win32Error
from lanman.manage.answers import missing_of
from lanman.manage.cluster.gate import MAX_REFUSALS, PATIENCE
from lanman.manage.orders import Reason, What, plan_sessions, run
from lanman.records import FileInfo, SessionInfo
from support import virtual_time
from support.cluster_world import FOREVER, Node, World, files, sessions
from support.fake_manager import FakeManager
from support.virtual_time import VirtualClock


def world(*nodes: Node, timeout: float = 10.0) -> World:
    return World(nodes, timeout)


def two() -> World:
    return world(
        Node("fs1", FakeManager(entries=sessions("pc7/bob", "pc8/ann"), opened=files(1, 2))),
        Node("fs2", FakeManager(entries=sessions("pc7/bob"), opened=files(2, 3), level=10)),
    )


def test_rows_carry_their_node_and_the_poorest_level_counts() -> None:
    async def test(clock: VirtualClock) -> None:
        async with two().cluster() as manager:
            found = await manager.sessions()
            assert [(each.node, each.client_name, each.user_name) for each in found] == [
                ("fs1", r"\\pc7", "bob"),
                ("fs1", r"\\pc8", "ann"),
                ("fs2", r"\\pc7", "bob"),
            ]
            assert (found.level, found.missing, manager.missing) == (10, [], [])
            assert [(each.node, each.id) for each in await manager.files(user="bob")] == [
                ("fs1", 1),
                ("fs1", 2),
                ("fs2", 2),
                ("fs2", 3),
            ]

    virtual_time.run(test)


def test_a_node_that_is_away_is_named_and_waited_for_once() -> None:
    nodes = world(
        Node("fs1", FakeManager(entries=sessions("pc7/bob"))),
        Node("hole", connects=FOREVER),
        Node("fs3", FakeManager(entries=sessions("pc9/eve")), connects=9.0),
    )

    async def test(clock: VirtualClock) -> None:
        began = clock.now
        async with nodes.cluster() as manager:
            found = await manager.sessions()
            assert clock.now - began == 10.0  # the black hole's time-out, with the slow node in it
            assert [each.node for each in found] == ["fs1", "fs3"]
            ((node, error),) = found.missing
            assert (node, type(error)) == ("hole", TimedOut)
            await manager.files()
            plan = await plan_sessions(manager, found.entries)
            await run(manager, plan)
            assert [each.node for each in manager.missing] == ["hole"]
        assert clock.now - began == 10.0
        assert nodes["hole"].opened == 1

    virtual_time.run(test)


def test_where_no_node_answers_it_is_an_error() -> None:
    nodes = world(Node("a", error=ConnectionLost("refused", code=53)), Node("b", connects=FOREVER))

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            with pytest.raises(ConnectionLost, match=r"none of its 2 nodes answers \(a: refused; b: no answer"):
                await manager.sessions()

    virtual_time.run(test)


def test_one_wrong_password_is_not_sent_to_every_node() -> None:
    nodes = world(*(Node(f"fs{number}", wrong=True, log_on=0.1) for number in range(20)))

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            with pytest.raises(AuthenticationError):
                await manager.sessions()
            with pytest.raises(AuthenticationError):
                await manager.files()
        tried = [node for node in nodes.nodes.values() if node.tried]
        assert len(tried) == MAX_REFUSALS

    virtual_time.run(test)


def test_a_refusal_of_one_node_does_not_hide_the_others() -> None:
    nodes = world(Node("fs1", wrong=True), *(Node(f"fs{number}") for number in range(2, 9)))

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            found = await manager.shares()
            assert [node for node, _ in missing_of(found)] == ["fs1"]
            await manager.shares()
        assert len(nodes["fs1"].tried) == 1

    virtual_time.run(test)


def test_trying_the_password_at_one_node_costs_one_log_on() -> None:
    nodes = world(*(Node(f"fs{number}", connects=1.0, log_on=0.2) for number in range(50)))

    async def test(clock: VirtualClock) -> None:
        began = clock.now
        async with nodes.cluster() as manager:
            await manager.sessions()
        assert clock.now - began == pytest.approx(1.0 + 2 * 0.2)

    virtual_time.run(test)


def test_a_log_on_that_hangs_holds_up_the_next_for_a_moment() -> None:
    nodes = world(Node("fs1", log_on=FOREVER), Node("fs2", log_on=0.1), Node("fs3", log_on=0.1))

    async def test(clock: VirtualClock) -> None:
        began = clock.now
        async with nodes.cluster() as manager:
            found = await manager.sessions()
            assert [node for node, _ in found.missing] == ["fs1"]
        assert clock.now - began == 10.0
        assert [round(nodes[name].tried[0] - began, 3) for name in ("fs2", "fs3")] == [PATIENCE, PATIENCE + 0.1]

    virtual_time.run(test)


def test_two_addresses_of_one_server_count_once_under_the_first() -> None:
    nodes = world(
        Node("fs1", FakeManager(entries=sessions("pc7/bob")), connects=1.0, called="FS1"),
        Node("10.0.0.1", FakeManager(entries=sessions("pc7/bob")), called="fs1"),
        Node("fs2", FakeManager(entries=sessions("pc7/bob")), called="FS2"),
    )

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            assert [each.node for each in await manager.sessions()] == ["fs1", "fs2"]
            assert manager.nodes == ["fs1", "fs2"]
            assert manager.doubles == {"10.0.0.1": "fs1"}

    virtual_time.run(test)


def test_a_filter_looks_at_what_all_nodes_list() -> None:
    """Equal before shown before alike, as for one server: bob is listed, so Bob is not meant."""
    nodes = world(
        Node("fs1", FakeManager(entries=sessions("pc7/bob"))), Node("fs2", FakeManager(entries=sessions("pc7/Bob")))
    )

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            assert [each.node for each in await manager.sessions(user="bob")] == ["fs1"]
            assert [each.node for each in await manager.sessions(user="BOB")] == ["fs1", "fs2"]

    virtual_time.run(test)


def test_an_order_goes_to_the_node_of_its_row() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            bob = [each for each in await manager.sessions() if each.node == "fs2"]
            plan = await plan_sessions(manager, bob)
            assert [(target.key.node, target.record.node) for target in plan.targets] == [("fs2", "fs2")]
            (outcome,) = await run(manager, plan)
            assert outcome.what is What.DONE
        assert [each.user_name for each in nodes["fs1"].manager.entries] == ["bob", "ann"]
        assert nodes["fs2"].manager.entries == []

    virtual_time.run(test)


def test_equal_ids_of_two_nodes_are_two_files() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            of_fs2 = [each for each in await manager.files() if (each.node, each.id) == ("fs2", 2)]
            (result,) = await manager.close_files(of_fs2)
            assert result.error is None
            assert [each.id for each in nodes["fs1"].manager.opened] == [1, 2]
            assert [each.id for each in nodes["fs2"].manager.opened] == [3]

    virtual_time.run(test)


def test_an_id_alone_is_refused_where_it_may_mean_two_files() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            with pytest.raises(Win32Error, match="2: fs1, fs2 have each an open file of this number") as raised:
                await manager.close_file(2)
            assert raised.value.code == 52
            assert (await manager.close_file(3)).node == "fs2"
            (result,) = await manager.close_files([FileInfo(2)])
            assert result.error is not None
            assert result.error.code == 52
        nodes["fs2"].error = ConnectionLost("away")
        async with nodes.cluster() as manager:
            with pytest.raises(Win32Error, match="1: fs2 is away, and may have an open file of this number too"):
                await manager.close_file(1)
            assert (await manager.file(1)).node == "fs1"

    virtual_time.run(test)


def test_a_session_without_its_node_is_no_target() -> None:
    async def test(clock: VirtualClock) -> None:
        async with two().cluster() as manager:
            for session in (SessionInfo(r"\\pc7", "bob"), SessionInfo(r"\\pc7", "bob", node="fs9")):
                with pytest.raises(Win32Error) as raised:
                    await manager.plan_sessions([session])
                assert raised.value.code == 87

    virtual_time.run(test)


def test_a_node_that_goes_between_plan_and_run_fails_alone() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            plan = await plan_sessions(manager, (await manager.sessions()).entries)
        nodes["fs2"].error = ConnectionLost("nothing listens there", code=1225)
        async with nodes.cluster() as manager:
            outcomes = await run(manager, plan)
            assert [(one.target.record.node, one.what) for one in outcomes] == [
                ("fs1", What.DONE),
                ("fs1", What.DONE),
                ("fs2", What.FAILED),
            ]
            assert [node for node, _ in manager.missing] == ["fs2"]

    virtual_time.run(test)


def test_what_changed_at_a_node_is_spared_there() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            plan = await plan_sessions(manager, (await manager.sessions(user="bob")).entries)
            nodes["fs1"].manager.entries = sessions("pc7/bob", active=3)
            by_node = {one.target.record.node: one for one in await run(manager, plan)}
            assert (by_node["fs1"].what, by_node["fs1"].reason) == (What.SPARED, Reason.CHANGED)
            assert by_node["fs2"].what is What.DONE

    virtual_time.run(test)


def test_consent_is_to_the_bystanders_of_one_node() -> None:
    nodes = world(
        *(
            Node(name, FakeManager(entries=sessions("pc7/bob", "pc7/ann"), whole_connections=True))
            for name in ("a", "b")
        )
    )

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            bobs = (await manager.sessions(user="bob")).entries
            plan = await plan_sessions(manager, bobs)
            assert [each.node for each in plan.bystanders] == ["a", "b"]
            agreed = [each for each in plan.bystanders if each.node == "a"]
            outcomes = {one.target.record.node: one for one in await run(manager, plan, with_others=agreed)}
            assert outcomes["a"].what is What.DONE
            assert (outcomes["b"].what, outcomes["b"].reason) == (What.SPARED, Reason.BYSTANDERS)
            assert [each.node for each in outcomes["b"].others] == ["b"]

    virtual_time.run(test)


def test_a_question_that_one_node_refuses_is_missing_there_alone() -> None:
    nodes = two()
    nodes["fs2"].manager.fails = AccessDenied(subject="the list")

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            found = await manager.sessions()
            assert [node for node, _ in found.missing] == ["fs2"]
            nodes["fs2"].manager.fails = None
            assert missing_of(await manager.files()) == []
            assert [node for node, _ in manager.missing] == ["fs2"]

    virtual_time.run(test)


def test_where_all_refuse_it_is_denied() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        for node in nodes.nodes.values():
            node.manager.fails = AccessDenied(subject="the list")
        async with nodes.cluster() as manager:
            with pytest.raises(AccessDenied):
                await manager.sessions()

    virtual_time.run(test)


def test_what_one_server_has_is_refused_and_each_node_can_be_asked() -> None:
    async def test(clock: VirtualClock) -> None:
        async with two().cluster() as manager:
            for question in (manager.statistics, manager.server_info, manager.time_of_day, manager.transports):
                with pytest.raises(Win32Error, match="a cluster is not one server"):
                    await question()
            answers = await manager.each(lambda node: node.server_info())
            assert [(part.node, part.answer.name) for part in answers.parts] == [("fs1", "fs1"), ("fs2", "fs2")]

    virtual_time.run(test)


def test_a_node_that_calls_itself_like_another_by_now_gets_no_orders_for_it() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            plan = await plan_sessions(manager, (await manager.sessions(user="bob")).entries)
        nodes["fs2"].manager.info.name = "FS1"
        async with nodes.cluster() as manager:
            await manager.shares()
            assert manager.doubles == {"fs2": "fs1"}
            by_node = {one.target.record.node: one for one in await run(manager, plan)}
            assert by_node["fs1"].what is What.DONE
            assert by_node["fs2"].what is What.FAILED
            assert "fs2 is fs1 by another address" in str(by_node["fs2"].error)
        assert len(nodes["fs2"].manager.entries) == 1

    virtual_time.run(test)


def test_a_node_that_is_none_any_more_fails_alone() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            plan = await plan_sessions(manager, (await manager.sessions()).entries)
        del nodes.nodes["fs1"]
        async with nodes.cluster() as manager:
            outcomes = await run(manager, plan)
            assert {(one.target.record.node, one.what) for one in outcomes} == {
                ("fs1", What.FAILED),
                ("fs2", What.DONE),
            }

    virtual_time.run(test)


def test_questions_at_the_same_time_open_each_node_once() -> None:
    nodes = two()

    async def test(clock: VirtualClock) -> None:
        async with nodes.cluster() as manager:
            await asyncio.gather(manager.sessions(), manager.files(), manager.shares())
            assert [node.opened for node in nodes.nodes.values()] == [1, 1]

    virtual_time.run(test)
