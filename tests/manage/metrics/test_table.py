"""The table of metrics keeps what dashboards were promised, and the bound of a server's series."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from lanman.events import Reason
from lanman.faces.cli.verbs import metrics as metrics_verb
from lanman.manage.metrics.table import MAX_SERIES, MAX_TOP, TABLE, WHY, Kind, Why, most_series
from lanman.manage.metrics.watched import why_of
from lanman.manage.watching.changes import RESTARTED, VANISHED

# The names and labels that were agreed on, as a dashboard that is not ours may use them.
PROMISED = """
lanman_up{server} lanman_poll_age_seconds{server} lanman_poll_duration_seconds{server} lanman_level{server}
lanman_sessions{server} lanman_session_limit{server} lanman_users{server} lanman_clients{server}
lanman_open_files{server,access} lanman_file_locks{server} lanman_session_connections{server}
lanman_kept_files{server} lanman_share_users{server,share}
lanman_session_idle_seconds_bucket{server,le} lanman_session_age_seconds_bucket{server,le}
lanman_sessions_opened_total{server} lanman_sessions_closed_total{server,why}
lanman_top_user_sessions{server,user} lanman_top_user_files{server,user} lanman_top_client_sessions{server,client}
lanman_truncated{server,metric} lanman_server_bytes_total{server,direction}
lanman_server_password_errors_total{server} lanman_server_permission_errors_total{server}
lanman_server_timeouts_total{server} lanman_server_portion_taken{server,portion}
lanman_server_portion_limit{server,portion}
lanman_server_portion_refused_total{server,portion} lanman_policy_ended_total{policy,outcome} lanman_build_info{version}
"""


def test_names_and_labels() -> None:
    assert [f"{each.name}{{{','.join(each.labels)}}}" for each in TABLE] == PROMISED.split()


def test_names_say_what_kind_they_are() -> None:
    for each in TABLE:
        endings = {Kind.COUNTER: "_total", Kind.HISTOGRAM: "_bucket", Kind.INFO: "_info"}
        for kind, ending in endings.items():
            assert (each.kind is kind) == each.name.endswith(ending), each.name
        assert re.fullmatch(r"[A-Z].*\.", each.help), each.name
        assert each.needs_names == bool({"user", "client"} & set(each.labels)), each.name
        assert ("_seconds" in each.name) == (each.unit == "seconds"), each.name


def test_a_server_has_a_bounded_number_of_series() -> None:
    assert most_series(20) == 359
    assert most_series(MAX_TOP) <= MAX_SERIES == 400
    assert metrics_verb.MAX_TOP == MAX_TOP


def test_people_are_told_of_that_bound() -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "figures-for-prometheus.md"
    for text in (inspect.getsource(metrics_verb), page.read_text()):
        assert re.findall(r"at most (\d+) series", text) == [str(MAX_SERIES)]


def test_nine_reasons() -> None:
    assert len(Why) == len(WHY) == 9
    assert {why_of(reason.value) for reason in Reason} | {why_of(VANISHED)} == set(Why)
    assert why_of(None) is why_of(VANISHED) is Why.VANISHED
    assert why_of(RESTARTED) is why_of("server stopped") is Why.STOPPED
    assert why_of("logged off") is Why.LOGGED_OFF
    assert why_of("ended by an administrator") is Why.ENDED
    assert why_of("wrong user name or password") is Why.REFUSED
