"""The dialect: NET's form and the GNU form mean the same, wherever switches stand and however they are shortened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.faces.dialect import DialectError, Grammar, Switch, computer_name, normalise, split_verb

COMMON = (
    Switch(("server",), ("S",), takes_value=True),
    Switch(("port",), ("p",), takes_value=True),
    Switch(("kerberos",), ("k",)),
    Switch(("no-pass",), ("N",)),
    Switch(("json",)),
    Switch(("csv",)),
    Switch(("yes", "y"), net=True),
    Switch(("no", "n"), net=True),
    Switch(("help", "?"), ("h", "?"), net=True),
)
SESSION = Grammar(
    (
        *COMMON,
        Switch(("delete",), net=True),
        Switch(("list",), net=True),
        Switch(("client",), takes_value=True),
        Switch(("user",), takes_value=True),
    )
)
CONFIG = Grammar(
    (*COMMON, Switch(("autodisconnect",), takes_value=True, net=True), Switch(("hidden",), takes_value=True, net=True))
)
SERVE = Grammar((*COMMON, Switch(("listen",), takes_value=True)), takes_paths=True)


@pytest.mark.parametrize(
    ("words", "options", "arguments"),
    [
        ([], [], []),
        ([r"\\pc7", "/DELETE", "/Y"], ["--delete", "--yes"], [r"\\pc7"]),
        (["/y", "/d", r"\\pc7"], ["--yes", "--delete"], [r"\\pc7"]),
        (["pc7", "--delete", "--yes"], ["--delete", "--yes"], ["pc7"]),
        (["--del", "//pc7"], ["--delete"], ["//pc7"]),
        (["/del", "\\pc7"], ["--delete"], ["\\pc7"]),
        (["--client", "/y", "/l"], ["--client=/y", "--list"], []),
        (["--client=", "/srv/data"], ["--client="], ["/srv/data"]),
        (["/user:ann", "/USE=bob"], ["--user=ann", "--user=bob"], []),
        (["-S", "fs1", "-p445", "-kN"], ["--server=fs1", "--port=445", "--kerberos", "--no-pass"], []),
        (["-kS", "fs1"], ["--kerberos", "--server=fs1"], []),
        (["/?"], ["--help"], []),
        (["-?"], ["--help"], []),
        (["--", "/delete", "--yes"], [], ["/delete", "--yes"]),
        (["/n"], ["--no"], []),
        (["-"], [], ["-"]),
        (["/"], [], ["/"]),
        ([r"\\"], [], [r"\\"]),
    ],
)
def test_session_in_both_dialects(words: list[str], options: list[str], arguments: list[str]) -> None:
    line = normalise(words, SESSION)
    assert (line.options, line.arguments) == (options, arguments)
    assert line.argv() == [*options, "--", *arguments]


def test_values_behind_a_colon() -> None:
    assert normalise(["/autodisconnect:30"], CONFIG).options == ["--autodisconnect=30"]
    assert normalise(["/AUTO:-1"], CONFIG).options == ["--autodisconnect=-1"]
    assert normalise(["--autodisconnect", "-1"], CONFIG).options == ["--autodisconnect=-1"]
    assert normalise(["/hid:a:b=c/d"], CONFIG).options == ["--hidden=a:b=c/d"]


@pytest.mark.parametrize(
    ("words", "message_id", "names"),
    [
        (["/frobnicate"], 3506, "/frobnicate"),
        (["--frobnicate=3"], 3506, "--frobnicate"),
        (["-x"], 3506, "-x"),
        (["-kx"], 3506, "-x"),
        (["/c"], 3507, "/c"),
        (["--c"], 3507, "--c"),
        (["--server"], 3952, "--server"),
        (["-S"], 3952, "-S"),
        (["/user"], 3952, "/user"),
        (["/delete:yes"], 3952, "/delete"),
        (["--delete=yes"], 3952, "--delete"),
        (["--="], 3506, "--"),
    ],
)
def test_what_cannot_be_understood_is_named(words: list[str], message_id: int, names: str) -> None:
    with pytest.raises(DialectError) as caught:
        normalise(words, SESSION)
    assert caught.value.message_id == message_id
    assert names in str(caught.value)


def test_an_ambiguous_switch_says_what_it_may_mean() -> None:
    with pytest.raises(DialectError) as caught:
        normalise(["/c"], SESSION)
    assert caught.value.hint == "It may mean /CSV, /CLIENT."


def test_switches_of_net_come_first() -> None:
    file = Grammar((*COMMON, Switch(("close",), net=True), Switch(("client",), takes_value=True)))
    assert normalise(["7", "/c"], file).options == ["--close"]
    with pytest.raises(DialectError):
        normalise(["7", "--c"], file)


def test_a_folder_is_no_switch_where_folders_are_taken() -> None:
    line = normalise(["/srv", "data=/srv/data", "/l", "/y", "--listen", "/x"], SERVE)
    assert line.arguments == ["/srv", "data=/srv/data", "/l"]
    assert line.options == ["--yes", "--listen=/x"]


@pytest.mark.parametrize(
    ("words", "verb", "rest"),
    [
        (["session"], "session", []),
        (["-S", "fs1", "session", "/d"], "session", ["-S", "fs1", "/d"]),
        (["-Sfs1", "session"], "session", ["-Sfs1"]),
        (["-k", "session"], "session", ["-k"]),
        (["-kS", "fs1", "session"], "session", ["-kS", "fs1"]),
        (["--server=fs1", "--json", "session"], "session", ["--server=fs1", "--json"]),
        (["--serv", "fs1", "session"], "session", ["--serv", "fs1"]),
        (["/delete", "session", r"\\pc7"], "session", ["/delete", r"\\pc7"]),
        (["--json"], None, ["--json"]),
        (["--", "session"], None, ["--", "session"]),
        ([], None, []),
    ],
)
def test_the_verb_is_found_behind_options(words: list[str], verb: str | None, rest: list[str]) -> None:
    assert split_verb(words, Grammar(COMMON)) == (verb, rest)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (r"\\pc7", "pc7"),
        (r"\pc7", "pc7"),
        ("//pc7", "pc7"),
        ("pc7", "pc7"),
        (r"\\10.0.0.1", "10.0.0.1"),
        (r"\\[::1]", "[::1]"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        (r"\\büro-7", "büro-7"),
    ],
)
def test_a_computer(word: str, name: str) -> None:
    assert computer_name(word) == name


@pytest.mark.parametrize(
    "word", ["", "\\", r"\\", "//", r"\\pc7\share", "a b", "/pc7", "x" * 256, "a\x00b", "a\x1bb", r"\\\pc7"]
)
def test_no_computer(word: str) -> None:
    with pytest.raises(DialectError) as caught:
        computer_name(word)
    assert caught.value.message_id == 3870


SWITCHES = st.sampled_from(["/DELETE", "/Y", "/list", "--delete", "--json", "-k", "/user:ann", "--client=pc7"])


def test_what_came_later_takes_no_shortened_form() -> None:
    late = Switch(("dry-run", "whatif"), gives_way=True)
    grammar = Grammar((*SESSION.switches, late, Switch(("with-others",))))
    for words, option in (
        (["--d"], "--delete"),
        (["/d"], "--delete"),
        (["--w"], "--with-others"),
        (["/w"], "--with-others"),
        (["--dr"], "--dry-run"),
        (["/wh"], "--dry-run"),
        (["--whatif"], "--dry-run"),
    ):
        assert normalise(words, grammar).options == [option], words


@given(st.lists(SWITCHES, max_size=6), st.integers(0, 6))
def test_a_switch_may_stand_anywhere(switches: list[str], position: int) -> None:
    words = [*switches[:position], r"\\pc7", *switches[position:]]
    line = normalise(words, SESSION)
    assert line.arguments == [r"\\pc7"]
    assert line.options == normalise(switches, SESSION).options


@given(st.sampled_from([name for switch in SESSION.switches if switch.net for name in switch.names]), st.data())
def test_case_and_unambiguous_length_do_not_matter(name: str, data: st.DataObject) -> None:
    prefix = name[: data.draw(st.integers(1, len(name)))]
    shown = "".join(letter.upper() if data.draw(st.booleans()) else letter for letter in prefix)
    assert normalise([f"/{shown}"], SESSION) == normalise([f"--{name}"], SESSION)


@given(st.lists(st.text(alphabet=st.sampled_from("/-\\:=?SpkNydcl 7ä\n\x00"), max_size=8), max_size=5))
def test_any_line_is_understood_or_refused(words: list[str]) -> None:
    for grammar in (SESSION, SERVE):
        try:
            line = normalise(words, grammar)
        except DialectError:
            continue
        assert all(option.startswith("--") for option in line.options)
        assert normalise(line.argv(), grammar) == line
