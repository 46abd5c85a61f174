"""The cyclic collector of a process that is a Server. Each test has a process of its own: it is for all of one."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


def run(script: str, *arguments: object) -> str:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_what_there_was_at_the_start_is_not_looked_at_again() -> None:
    said = run(
        """
        import gc, lanman.net.server
        from lanman.net.collector import keep_pauses_short
        there = len(gc.get_objects())
        keep_pauses_short()
        print(there > 10_000 and len(gc.get_objects()) < there / 50)
        looks = []
        gc.callbacks.append(lambda phase, about: looks.append(about["generation"]))
        kept = [[] for _ in range(300_000)]
        print(0 in looks, 2 in looks)
        """
    )
    assert said == "True\nTrue False\n"


@pytest.mark.posix
def test_a_server_in_a_process_of_its_own_keeps_its_pauses_short(tmp_path: Path) -> None:
    said = run(
        """
        import gc, os, signal, sys, threading
        from lanman.net import collector
        real = collector.keep_pauses_short
        def then_end():
            real()
            print("frozen", gc.get_freeze_count() > 10_000)
            os.kill(os.getpid(), signal.SIGTERM)
        collector.keep_pauses_short = then_end
        sys.argv = ["lanman", "--home", sys.argv[1], "serve", "--listen", "127.0.0.1", "--port", "0"]
        from lanman.__main__ import main
        main()
        """,
        tmp_path / "home",
    )
    assert said.splitlines()[-1] == "frozen True"


def test_in_a_process_of_others_the_collector_is_as_it_was_when_the_last_has_left() -> None:
    said = run(
        """
        import gc
        from lanman.net.collector import SHORT_PAUSES
        gc.set_threshold(701, 11, 12)
        try:
            with SHORT_PAUSES:
                within = gc.get_threshold()
                print(within[0] > 701, gc.get_freeze_count() > 1000)
                with SHORT_PAUSES:
                    print(gc.get_threshold() == within)
                print(gc.get_threshold() == within)
                raise ValueError
        except ValueError:
            print(gc.get_threshold(), gc.get_freeze_count())
        """
    )
    assert said == "True True\nTrue\nTrue\n(701, 11, 12) 0\n"
