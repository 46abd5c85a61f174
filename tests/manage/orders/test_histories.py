"""Whatever happens on a server between a plan and its run, and during it: only what was planned ends, and only once.

The server's sessions and files have names that nobody sees (objects); the truth is which of them an order ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.manage.orders import What, plan_files, plan_sessions, run
from lanman.records import FileInfo, SessionInfo
from lanman.rpc.srvsvc.files import NetrFileClose
from lanman.rpc.srvsvc.sessions import NetrSessionDel
from support.scripted_link import ScriptedServer

CLIENTS, USERS = ("pc1", "pc2"), ("ann", "bob", "eve")

people = st.builds(
    lambda client, user, age: SessionInfo(rf"\\{client}", user, 0, age, 1, 0),
    st.sampled_from(CLIENTS),
    st.sampled_from(USERS),
    st.sampled_from([100, 1000, 5000]),
)
changes = st.lists(st.tuples(st.sampled_from(["go", "come", "anew"]), st.integers(0, 5), people), max_size=4)


def change(server: ScriptedServer, what: str, place: int, who: SessionInfo) -> None:
    """Somebody goes, comes, or goes and comes again as the same user at the same client."""
    if what == "come":
        server.sessions.append(replace(who, active_time=1))
    elif server.sessions:
        gone = server.sessions.pop(place % len(server.sessions))
        if what == "anew":
            server.sessions.append(replace(gone, active_time=1))


@settings(max_examples=150, deadline=None)
@given(
    samba=st.booleans(),
    sessions=st.lists(people, min_size=1, max_size=6),
    chosen=st.sets(st.integers(0, 5), min_size=1),
    before=changes,
    during=changes,
)
def test_only_what_was_planned_ends(
    samba: bool,
    sessions: list[SessionInfo],
    chosen: set[int],
    before: list[tuple[str, int, SessionInfo]],
    during: list[tuple[str, int, SessionInfo]],
) -> None:
    server = ScriptedServer(samba=samba, sessions=sessions)
    asked = [sessions[place] for place in sorted(chosen) if place < len(sessions)]

    async def work() -> None:
        plan = await plan_sessions(server.manager(), asked, costs=False)
        # By records that are one and the same object in the plan and in the server's list.
        planned = [target.record for target in plan.targets]
        for each in before:
            change(server, *each)
        for one in during:
            server.after(NetrSessionDel, lambda one=one: change(server, *one))  # type: ignore[misc]
        outcomes = await run(server.manager(), plan)
        assert [outcome.target for outcome in outcomes] == plan.targets
        for ended in server.ended:
            assert any(ended is one for one in planned), ended
        assert len({id(ended) for ended in server.ended}) == len(server.ended)
        for outcome in outcomes:
            listed = any(outcome.target.record is one for one in server.sessions)
            assert not (listed and outcome.what is What.DONE)
            assert listed or outcome.what is not What.FAILED

    asyncio.run(work())


files = st.builds(
    lambda id, path, user: FileInfo(id, 1, 0, rf"C:\{path}", user),
    st.integers(1, 4),
    st.sampled_from("xyz"),
    st.sampled_from(USERS),
)


@settings(max_examples=150, deadline=None)
@given(
    samba=st.booleans(),
    opened=st.lists(files, min_size=1, max_size=5, unique_by=lambda file: file.id),
    before=st.lists(files, max_size=2),
    during=st.lists(files, max_size=2),
)
def test_only_the_files_that_were_planned_close(
    samba: bool, opened: list[FileInfo], before: list[FileInfo], during: list[FileInfo]
) -> None:
    server = ScriptedServer(samba=samba, files=opened)

    def put(file: FileInfo) -> None:
        """An id is given to another open file."""
        server.files = [one for one in server.files if one.id != file.id] + [replace(file)]

    async def work() -> None:
        plan = await plan_files(server.manager(), opened, costs=False)
        known = {(one.id, one.path, one.user_name) for one in opened}
        for file in before:
            put(file)
        for file in during:
            server.after(NetrFileClose, lambda file=file: put(file))  # type: ignore[misc]
        outcomes = await run(server.manager(), plan)
        for closed in server.closed:
            assert (closed.id, closed.path, closed.user_name) in known
        assert len(outcomes) == len(opened)

    asyncio.run(work())
