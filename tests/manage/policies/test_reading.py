"""policies.toml: what it says, and of every kind of mistake the line, the key, and what would be right."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lanman import codes
from lanman.errors import AccessDenied
from lanman.manage.orders.plan import Cost
from lanman.manage.policies.declared import SECTIONS, Select, Tell
from lanman.manage.policies.reading import only, parse_policies, read_policies
from lanman.net.configuration import ConfigurationError

NIGHT = """\
every = "2m"

[policies.night]
servers = ["fs1", "cluster:files"]
mode = "enforce"
select = { idle = "2h", opens = 0, not_user = ["svc_*"], not_client = "10.9.*" }
outside = "M-F,8am-6pm"
zone = "Europe/Berlin"
tell = { by = ["mail", "command"], before = "15m", required = false }
then = "end"
at_most = 20
at_most_percent = 25

[policies.three]
max_sessions_per_user = 3
end = "newest"
tell = false
may_cost = "unsaved"
"""


def test_what_is_written() -> None:
    found = parse_policies(NIGHT)
    assert (found.every, list(found.policies)) == (120, ["night", "three"])
    night = found.policies["night"]
    assert night.servers == ("fs1", "cluster:files")
    assert (night.mode, night.then, night.at_most, night.at_most_percent) == ("enforce", "end", 20, 25)
    assert night.select == Select(idle=7200, opens=0, not_user=("svc_*",), not_client=("10.9.*",))
    assert night.outside is not None
    assert night.outside.text == "M-F,8am-6pm"
    assert night.zone == ZoneInfo("Europe/Berlin")
    assert night.tell == Tell(("mail", "command"), 900, False)
    three = found.policies["three"]
    assert (three.mode, three.select, three.tell, three.may_cost) == ("report", Select(), None, Cost.UNSAVED)
    assert (three.max_sessions_per_user, three.max_sessions_per_client, three.end) == (3, None, "newest")


def test_what_is_not_written_is_careful() -> None:
    policy = parse_policies('[policies.a]\nselect = { user = "bob" }\n').policies["a"]
    assert (policy.mode, policy.tell, policy.may_cost) == ("report", Tell((), 900, True), Cost.REOPEN)
    assert (policy.at_most, policy.at_most_percent, policy.servers) == (20, 100, ())


def test_tables_may_be_written_in_any_way() -> None:
    inline = parse_policies('[policies.a]\nselect = { idle = "1h", user = ["a", "b"] }\n').policies
    headed = parse_policies('[policies.a.select]\nidle = "60m"\nuser = ["a", "b"]\n').policies
    dotted = parse_policies('[policies.a]\nselect.idle = "3600s"\nselect.user = ["a", "b", "a"]\n').policies
    assert inline == headed == dotted


P = "[policies.a]\n"
S = f'{P}select = {{ user = "bob" }}\n'

MISTAKES = [
    ("", "policies.toml: has no policy: each is a section [policies.NAME]"),
    ("[policies]\n", "policies.toml: has no policy"),
    ("[policies.a\n", "policies.toml line 1: "),
    (f"{P}{P}", "policies.toml line 2: "),
    ("policy = 1\n", "line 1: policy is not known here: `policies` may be meant"),
    ("\nevry = 1\n", "line 2: evry is not known here: `every` may be meant"),
    ("every = 60\n[policies.a]\n", 'line 1: every must be a duration in quotation marks with its unit, such as "90s"'),
    ('every = "2h"\n', "line 1: every must be a duration from a second to an hour"),
    ("policies = 3\n", "policies must be a section"),
    ("[policies]\na = 3\n", "line 2: [policies] a must be a section, written [policies.NAME]"),
    ("every = '1m'\n[[policies.a]]\nmode = 1\n", "line 2: [policies] a must be a section, written [policies.NAME]"),
    ("\n[[ policies ]]\na = 1\n", "line 2: policies must be a section, written [policies]"),
    ('\npolicies = { a = { mode = "on" } }\n', 'line 2: [policies.a] mode must be "report" or "enforce"'),
    ("policies = { a = { select = { opens = -1 } } }\n", "line 1: [policies.a.select] opens must be a number from 0"),
    ("\npolicies.a = { select = { opens = -1 } }\n", "line 2: [policies.a.select] opens must be a number from 0"),
    ("policies = { a = 3 }\n", "line 1: [policies] a must be a section"),
    ('"ev\\nry\\u001b" = 1\n', r"policies.toml: ev\x0ary\x1b is not known here"),
    ('[policies."a\\u202eb"]\n', r": [policies.a\u202eb] must be named by at most 64 letters"),
    (f'{S}"mo\\nde" = 1\n', r"[policies.a] mo\x0ade is not a key of this section: `mode` may be meant"),
    ('[policies."a b"]\n', "line 1: [policies.a b] must be named by at most 64 letters"),
    (P, "line 1: [policies.a] must say whom it means: add `select`"),
    (f"{P}select = {{}}\n", 'line 2: [policies.a] select must not be empty: { user = ["*"] } is everybody'),
    (f'{P}select = "bob"\n', "line 2: [policies.a] select must be a table such as { idle"),
    (f'{P}select = {{ users = "bob" }}\n', "line 2: [policies.a.select] users is not a key of this section: `user`"),
    (f'{P}select = {{ colour = "red" }}\n', "it is one of idle, age, opens, user, not_user, client"),
    (f"{P}select = {{ idle = 7200 }}\n", "line 2: [policies.a.select] idle must be a duration in quotation marks"),
    (f'{P}select = {{ idle = "7200" }}\n', "line 2: [policies.a.select] idle must be a duration in quotation marks"),
    (f'{P}select = {{ idle = "0s" }}\n', "[policies.a.select] idle must be a duration of at least a second"),
    (f'{P}select = {{ idle = "two hours" }}\n', '"15m" or "2h"'),
    (f"{P}select = {{ opens = -1 }}\n", "line 2: [policies.a.select] opens must be a number from 0"),
    (f"{P}select = {{ user = [] }}\n", "line 2: [policies.a.select] user must not be empty: leave the key out"),
    (f'{P}select = {{ user = "" }}\n', "line 2: [policies.a.select] user must have no empty name"),
    (f'{P}select = {{ user = ["bob", " "] }}\n', "line 2: [policies.a.select] user must have no empty name"),
    (f'{P}select = {{ user = "EXAMPLE\\\\" }}\n', "line 2: [policies.a.select] user must name users"),
    (f"{P}select = {{ user = 7 }}\n", "line 2: [policies.a.select] user must be a user or a pattern"),
    (f'{P}select = {{ not_client = "\\\\\\\\" }}\n', "line 2: [policies.a.select] not_client must name clients"),
    (f'{P}select = {{ path = "//fs1/a/b" }}\n', "[policies.a.select] path must be paths as `lanman file` lists them"),
    (f"{P}[policies.a.select]\n\nidel = 1\n", "line 4: [policies.a.select] idel is not a key of this section: `idle`"),
    (f"{P}select.opens = true\n", "line 2: [policies.a.select] opens must be a number"),
    (f'{S}modus = "x"\n', "line 3: [policies.a] modus is not a key of this section: `mode` may be meant"),
    (f'{S}mode = "on"\n', 'line 3: [policies.a] mode must be "report" or "enforce"'),
    (f'{S}servers = "fs1"\n', "line 3: [policies.a] servers must be a list of servers, such as"),
    (f"{S}servers = []\n", "line 3: [policies.a] servers must not be empty"),
    (f'{S}servers = ["fs1", ""]\n', "line 3: [policies.a] servers must have no empty name"),
    (f'{S}servers = ["fs1,"]\n', "line 3: [policies.a] servers must name servers: fs1,: a part between"),
    (f'{S}servers = ["cluster:"]\n', "line 3: [policies.a] servers must name servers: cluster:: the name of"),
    (f'{S}servers = ["fs1:99999"]\n', "line 3: [policies.a] servers must name servers"),
    (f'{S}servers = ["*"]\n', "line 3: [policies.a] servers must name servers: *: a * stands behind a whole name"),
    (f'{S}outside = "M-F,8am-6pm"\n', 'line 3: [policies.a] outside needs a time zone: add zone = "Europe/Berlin"'),
    (f'{S}during = "Sa"\n', "line 3: [policies.a] during needs a time zone"),
    (f'{S}zone = "UTC"\n', "line 3: [policies.a] zone does nothing without `outside` or `during`"),
    (f'{S}outside = "all"\nzone = "UTC"\n', "line 3: [policies.a] outside must leave some hours of the week"),
    (f'{S}outside = "M"\nduring = "T"\nzone = "UTC"\n', "line 4: [policies.a] during must not stand beside `outside`"),
    (f'{S}outside = ""\nzone = "UTC"\n', "line 3: [policies.a] outside must be hours such as"),
    (f"{S}outside = 8\n", "line 3: [policies.a] outside must be hours of the week in quotation marks"),
    (f'{S}outside = "M-F,8am-6"\nzone = "UTC"\n', "line 3: [policies.a] outside must have am or pm at both ends"),
    (f'{S}outside = "M"\nzone = "Berlin"\n', "line 4: [policies.a] zone must be a time zone of the IANA database"),
    (f'{S}outside = "M"\nzone = "../../etc/passwd"\n', "line 4: [policies.a] zone must be a time zone of the IANA"),
    (f'{S}outside = "M"\nzone = "Europe"\n', "line 4: [policies.a] zone must be a time zone of the IANA database"),
    (f"{S}tell = true\n", "line 3: [policies.a] tell must be a table such as"),
    (f'{S}tell = {{ by = "fax" }}\n', """line 3: [policies.a.tell] by must be "mail", "webhook" or "command", and"""),
    (f"{S}tell = {{ by = [] }}\n", "line 3: [policies.a.tell] by must not be empty"),
    (f'{S}tell = {{ before = "0s" }}\n', "line 3: [policies.a.tell] before must be a duration from a second to a week"),
    (f'{S}tell = {{ required = "yes" }}\n', "line 3: [policies.a.tell] required must be true or false"),
    (f'{S}tell = {{ message = " " }}\n', "line 3: [policies.a.tell] message must be a text of 1 to 2000 characters"),
    (f'{S}tell = {{ message = "at {{when}}" }}\n', "must have no other word in braces than {clients}"),
    (f'{S}then = "close"\n', 'line 3: [policies.a] then must be "end"'),
    (f'{S}may_cost = "all"\n', 'line 3: [policies.a] may_cost must be "none", "reopen" or "unsaved"'),
    (f"{S}may_cost = []\n", 'line 3: [policies.a] may_cost must be "none", "reopen" or "unsaved"'),
    (f"{S}at_most = 0\n", "line 3: [policies.a] at_most must be a number from 1 to 1000000"),
    (f"{S}at_most_percent = 101\n", "line 3: [policies.a] at_most_percent must be a number from 1 to 100"),
    (f'{S}max_sessions_per_client = "3"\n', "line 3: [policies.a] max_sessions_per_client must be a number from 1"),
    (f"{S}max_sessions_per_user = 0\n", "line 3: [policies.a] max_sessions_per_user must be a number from 1"),
    (f'{S}end = "newest"\n', "line 3: [policies.a] end does nothing without `max_sessions_per_user`"),
    (f'{S}max_sessions_per_client = 2\nend = "any"\n', 'line 4: [policies.a] end must be "longest idle" or "newest"'),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_named(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_policies(text)
    assert said in caught.value.message


def test_every_kind_of_key_has_a_mistake() -> None:
    """Keys that are checked alike are tried once."""
    alike = {"client", "not_user", "not_path", "share", "not_share", "age", "max_sessions_per_client"}
    for section, keys in SECTIONS.items():
        where = "" if section == "policies_file" else section.replace("NAME", "a")
        for key in keys:
            tried = f"[{where}] {key} " if where else f": {key} "
            assert key in alike or any(tried in said for _, said in MISTAKES), tried


def test_only_some() -> None:
    found = parse_policies(NIGHT)
    assert list(only(found, ("three",)).policies) == ["three"]
    assert only(found, ()) == found
    with pytest.raises(ConfigurationError, match="has no policy 'tree': `three` may be meant"):
        only(found, ("tree",))


def test_the_file_is_there_and_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "policies.toml"
    with pytest.raises(ConfigurationError, match="is not there") as caught:
        read_policies(file)
    assert caught.value.code == codes.ERROR_FILE_NOT_FOUND
    file.write_text(NIGHT)
    file.chmod(0o644)
    assert read_policies(file).source == str(file)
    if os.name != "posix":
        return  # there the system's own rights say who may write to it
    file.chmod(0o666)
    with pytest.raises(AccessDenied, match="others may change it"):
        read_policies(file)
