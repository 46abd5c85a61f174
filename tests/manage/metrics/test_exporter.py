"""The exporter: scrapes from the last look, one server that is stuck or refuses, and what is asked beside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import lanman
from lanman.client_settings import ClientConfiguration, Cluster
from lanman.errors import AuthenticationError, ConnectionLost, LanmanError, Win32Error
from lanman.events import Event, LogonRefused
from lanman.manage.cluster.gate import MAX_REFUSALS
from lanman.manage.history.opening import open_store
from lanman.manage.history.records import Deed
from lanman.manage.manager import Manager
from lanman.manage.metrics.ended import Ended
from lanman.manage.metrics.exporter import Exporter, Served
from lanman.manage.metrics.table import MAX_POLICIES
from lanman.records import FileInfo, ServerInfo, SessionInfo, ShareInfo, Statistics
from support.fake_manager import FakeManager
from support.loopback_server import PASSWORDS, running_server
from support.platforms import tasks_left
from support.promtool import check_metrics
from support.smbd import Samba
from support.virtual_time import VirtualClock, run
from support.waiting import until

parser = pytest.importorskip("prometheus_client.parser", reason="only on machines with the extra metrics")


@dataclass
class Counting(FakeManager):
    """A FakeManager that counts how often its statistics were asked for, and may refuse them."""

    asked: int = 0
    refusal: LanmanError | None = None

    async def statistics(self) -> Statistics:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        return self.counted


def filer() -> Counting:
    return Counting(
        entries=[SessionInfo(r"\\pc7", "bob", 1, 600, 30), SessionInfo(r"\\pc9", "carol", 0, 60, 10)],
        opened=[FileInfo(1, 3, 2, "/srv/a", "bob")],
        shared=[ShareInfo("pub", 0, current_uses=2)],
        info=ServerInfo(users=20),
        counted=Statistics(pwerrors=3),
    )


def served(name: str, manager: Manager | LanmanError | None = None) -> Served:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Manager]:
        if manager is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(manager, LanmanError):
            raise manager
        assert isinstance(manager, Manager)
        yield manager

    return Served(name, opening)


def lines(text: bytes, *beginnings: str) -> list[str]:
    return [line for line in text.decode().splitlines() if line.startswith(beginnings)]


async def scraped(exporter: Exporter, *beginnings: str) -> list[str]:
    exporter._given.clear()
    return lines((await exporter.scrape())[1], *beginnings)


async def test_figures_of_one_look() -> None:
    async with Exporter([served("fs1", filer())], listen=None) as exporter:
        assert await exporter.first_look() == []
        content_type, text = await exporter.scrape()
        assert content_type.startswith("text/plain")
        check_metrics(text)
        assert lines(text, "lanman_up", "lanman_sessions{", "lanman_session_limit", "lanman_server_password") == [
            'lanman_up{server="fs1"} 1.0',
            'lanman_sessions{server="fs1"} 2.0',
            'lanman_session_limit{server="fs1"} 20.0',
            'lanman_server_password_errors_total{server="fs1"} 3.0',
        ]
        assert not lines(text, "lanman_top")
    assert tasks_left() == set()


async def test_names_are_given_only_where_they_are_asked_for() -> None:
    async with Exporter([served("fs1", filer())], listen=None, names=True, top=1) as exporter:
        await exporter.first_look()
        assert await scraped(exporter, "lanman_top") == [
            'lanman_top_user_sessions{server="fs1",user="bob"} 1.0',
            'lanman_top_user_files{server="fs1",user="bob"} 1.0',
            'lanman_top_client_sessions{client="pc7",server="fs1"} 1.0',
        ]
    async with Exporter([served("fs1", filer())], listen=None) as exporter:
        await exporter.first_look()
        text = (await exporter.scrape())[1].decode()
        assert not any(name in text for name in ("bob", "carol", "pc7", "pc9"))


async def test_servers_that_are_stuck_or_refuse_delay_no_scrape(caplog: pytest.LogCaptureFixture) -> None:
    refusing = AuthenticationError("the password is wrong", code=1326)
    servers = [served("hole"), served("fs1", filer()), served("fs2", refusing), served("fs3", ConnectionLost("gone"))]
    async with Exporter(servers, listen=None) as exporter:
        await until(lambda: all(each.seen.is_set() for each in exporter._asked[1:]))
        assert await scraped(exporter, "lanman_up") == [
            'lanman_up{server="hole"} 0.0',
            'lanman_up{server="fs1"} 1.0',
            'lanman_up{server="fs2"} 0.0',
            'lanman_up{server="fs3"} 0.0',
        ]
        assert [line for line in caplog.messages if line.startswith("fs2")] == [
            "fs2 is not asked any more: the password is wrong"
        ]
    assert tasks_left() == set()


def test_counters_are_asked_for_once_in_a_while_and_not_where_there_are_none() -> None:
    async def play(clock: VirtualClock) -> None:
        told, untold = filer(), filer()
        untold.refusal = Win32Error(50)
        servers = [served("fs1", told), served("fs2", untold)]
        async with Exporter(servers, listen=None, every=15, wall_clock=clock.wall) as exporter:
            await exporter.first_look()
            await asyncio.sleep(60)
            assert await scraped(exporter, "lanman_server_password", "lanman_session_limit") == [
                'lanman_session_limit{server="fs1"} 20.0',
                'lanman_session_limit{server="fs2"} 20.0',
                'lanman_server_password_errors_total{server="fs1"} 3.0',
            ]
        assert (told.asked, untold.asked) == (5, 1)

    run(play)


def test_a_scrape_asks_no_server_and_ages_are_told() -> None:
    async def play(clock: VirtualClock) -> None:
        manager = filer()
        async with Exporter([served("fs1", manager)], listen=None, every=15, wall_clock=clock.wall) as exporter:
            await exporter.first_look()
            await asyncio.sleep(10)
            manager.entries = []
            for _ in range(3):
                assert await scraped(exporter, "lanman_sessions{") == ['lanman_sessions{server="fs1"} 2.0']
            assert await scraped(exporter, "lanman_poll_age") == ['lanman_poll_age_seconds{server="fs1"} 10.0']
            await asyncio.sleep(6)
            assert await scraped(exporter, "lanman_sessions{", "lanman_sessions_c", "lanman_poll_age") == [
                'lanman_poll_age_seconds{server="fs1"} 1.0',
                'lanman_sessions{server="fs1"} 0.0',
                'lanman_sessions_closed_total{server="fs1",why="vanished"} 2.0',
            ]

    run(play)


def test_a_limit_that_is_none_has_no_series() -> None:
    async def play(clock: VirtualClock) -> None:
        manager = filer()
        for users in (0xFFFFFFFF, None, 0):
            manager.info = ServerInfo(users=users)
            async with Exporter([served("fs1", manager)], listen=None) as exporter:
                await exporter.first_look()
                assert await scraped(exporter, "lanman_session_limit") == []

    run(play)


def test_all_who_come_at_once_are_given_the_same() -> None:
    async def play(clock: VirtualClock) -> None:
        async with Exporter([served("fs1", filer())], listen=None, wall_clock=clock.wall) as exporter:
            await exporter.first_look()
            given = await asyncio.gather(*(exporter.scrape() for _ in range(10)))
            assert len({id(text) for _, text in given}) == 1
            openmetrics = await exporter.scrape("application/openmetrics-text; version=1.0.0")
            assert openmetrics[1].endswith(b"# EOF\n")
            await asyncio.sleep(0.5)
            assert (await exporter.scrape())[1] is not given[0][1]

    run(play)


def test_it_ends_at_once_although_a_server_takes_no_leave() -> None:
    async def play(clock: VirtualClock) -> None:
        @asynccontextmanager
        async def stuck() -> AsyncIterator[Manager]:
            yield filer()
            await asyncio.sleep(1000)

        async with Exporter([Served("fs1", stuck)], listen=None) as exporter:
            await exporter.first_look()
            before = clock.now
        assert clock.now - before <= 1.0

    run(play)


async def test_an_error_of_ours_is_told_and_ends_the_waiting(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeManager):
        async def files(
            self, *, path: str | None = None, user: str | None = None, client: str | None = None
        ) -> list[FileInfo]:
            raise ZeroDivisionError

    async with Exporter([served("fs1", Broken())], listen=None) as exporter:
        with pytest.raises(ZeroDivisionError):
            await exporter.wait()
    assert caplog.record_tuples[0][1] == logging.CRITICAL


@pytest.mark.parametrize("options", [{"every": 0.0}, {"timeout": -1.0}, {"top": 0}, {"top": 31}])
async def test_values_that_cannot_be(options: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        lanman.exporter("fs1", **options)  # type: ignore[arg-type]


async def test_two_servers_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="fs1"):
        Exporter([served("fs1", filer()), served("fs1", filer())], listen=None)


async def test_what_is_typed_for_a_server_may_mean_several() -> None:
    files = ClientConfiguration(clusters={"files": Cluster(("fs1", "fs2:4450"))})
    exporter = lanman.exporter(["cluster:files", "fs1,fs3"], port=1, listen=None, configuration=files)
    async with exporter:
        assert [each.watched.name for each in exporter._asked] == ["fs1", "fs2:4450", "fs3"]
    with pytest.raises(Win32Error, match="no cluster of that name"):
        await lanman.exporter("cluster:other", listen=None, configuration=files).__aenter__()


@pytest.mark.posix
async def test_a_wrong_password_is_not_tried_at_all_servers() -> None:
    """Each wrong password counts, and in a domain all count at one account."""
    addresses = [f"127.0.0.{number}" for number in range(1, 7)]
    refused: list[Event] = []
    async with lanman.Server(accounts={"ann": "right"}, listen=addresses, port=0) as server:
        server.subscribe(refused.append, LogonRefused)
        servers = [f"{address}:{server.port}" for address in addresses]
        async with lanman.exporter(servers, lanman.Credentials("ann", "wrong"), listen=None) as exporter:
            missing = await exporter.first_look()
            assert [name for name, error in missing if isinstance(error, AuthenticationError)] == servers
    assert len(refused) == MAX_REFUSALS


# --- what policies have ended


async def noted(path: Path, *deeds: Deed) -> None:
    async with open_store(path) as store:
        await store.note_deed(*deeds)


def deed(at: int, policy: str | None, outcome: str = "done", verb: str = "end") -> Deed:
    return Deed(at, "fs1", "root", verb, outcome, plan=policy)


async def test_what_policies_have_ended(tmp_path: Path) -> None:
    path, now = tmp_path / "history.sqlite", 1_700_000_000.0
    await noted(path, deed(100, "night"), deed(200, "night"), deed(200, "night", "spared"), deed(200, None))
    await noted(path, deed(200, "night", verb="tell"), deed(int(now), "three"))
    ended = Ended(str(path), 10, lambda: now)
    await ended.look()
    counted = {labels: value for _, labels, value in ended.samples()}
    assert counted == {("night", "done"): 2, ("night", "spared"): 1}
    now += 60
    await ended.look()
    await ended.look()
    counted = {labels: value for _, labels, value in ended.samples()}
    assert counted == {("night", "done"): 2, ("night", "spared"): 1, ("three", "done"): 1}


async def test_policies_are_bounded_and_named_so_that_labels_bear_it(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    many = [deed(1, f"p{number:03}", "done") for number in range(60) for _ in range(60 - number)]
    await noted(path, *many, deed(1, "a\nb", "done"))
    ended = Ended(str(path), 10, lambda: 1e9)
    await ended.look()
    counted = {labels: value for _, labels, value in ended.samples()}
    assert len(counted) == MAX_POLICIES + 1
    assert counted["(others)", "done"] == sum(range(1, 11)) + 1
    assert counted["p000", "done"] == 60


async def test_a_database_that_is_not_there_yet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "history.sqlite"
    async with Exporter([served("fs1", filer())], listen=None, database=str(path)) as exporter:
        await exporter.first_look()
        assert await scraped(exporter, "lanman_policy") == []
        assert "nothing was recorded there" in caplog.text
        assert not path.exists()
        await noted(path, deed(100, "night"))
        assert exporter._ended is not None
        await exporter._ended.look()
        assert await scraped(exporter, "lanman_policy") == [
            'lanman_policy_ended_total{outcome="done",policy="night"} 1.0'
        ]


# --- servers that are real


async def test_our_own_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        ann = lanman.Credentials("ann", PASSWORDS["ann"])
        own = lanman.exporter(home=tmp_path, service="lanman", listen=f"unix:{tmp_path}/metrics", names=True)
        async with own as exporter, lanman.open_manager("127.0.0.1", ann, port=server.port):
            await exporter.first_look()
            await until(lambda: exporter._asked[0].watched.picture.sessions)
            name = exporter._asked[0].watched.name
            reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/metrics")
            writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
            text = (await reader.read()).partition(b"\r\n\r\n")[2]
            writer.close()
            check_metrics(text)
            assert lines(text, "lanman_sessions{", "lanman_top_user_s", "lanman_level") == [
                f'lanman_level{{server="{name}"}} 502.0',
                f'lanman_sessions{{server="{name}"}} 1.0',
                f'lanman_top_user_sessions{{server="{name}",user="ann"}} 1.0',
            ]
            assert lines(text, "lanman_server_bytes") != []
            assert len(lines(text, "lanman_sessions_closed")) == 9
            server.service.close_sessions(list(server.service.sessions()), lanman.events.Reason.DELETED)
            server.flush()
            await until(lambda: exporter._asked[0].watched._closed)
            assert f'{{server="{name}",why="ended"}} 1.0' in " ".join(await scraped(exporter, "lanman_sessions_c"))
    assert not (tmp_path / "metrics").exists()


@pytest.mark.samba
@pytest.mark.root
async def test_a_real_samba(samba: Samba) -> None:
    who = samba.administrator
    credentials = lanman.Credentials(who.user_name, who.password)
    exporter = lanman.exporter(samba.host, credentials, port=samba.port, listen=None, names=True, timeout=60)
    with samba.hold(samba.user) as client:
        client.command("open a.txt")
        async with exporter:
            assert await exporter.first_look() == []
            text = (await exporter.scrape())[1]
            check_metrics(text)
    found = {
        sample.name for family in parser.text_string_to_metric_families(text.decode()) for sample in family.samples
    }
    # Samba tells neither idle times nor a limit, and has no counters.
    assert not {
        name for name in found if name.startswith(("lanman_server_", "lanman_session_idle", "lanman_session_l"))
    }
    assert {"lanman_sessions", "lanman_users", "lanman_open_files", "lanman_share_users"} <= found
    assert lines(text, "lanman_open_files") != []
    assert f'user="{samba.user.user_name}"}} 1.0' in text.decode()


@pytest.mark.posix
def test_without_asyncio(tmp_path: Path) -> None:
    running = lanman.blocking_exporter(home=tmp_path, service="lanman", listen="127.0.0.1:0")
    with running as exporter:
        assert exporter.where.startswith("127.0.0.1:")
        assert b"lanman_build_info" in exporter.scrape()[1]
    running.close()
    with pytest.raises(LanmanError), lanman.blocking_exporter(listen=f"unix:{tmp_path}"):
        pass


async def test_an_address_that_others_reach_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async with Exporter([], listen="0.0.0.0:0"):
        assert "whoever reaches this address may read the figures, which are not encrypted" in caplog.text
