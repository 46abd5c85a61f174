"""The tables of history: numbered steps of SQL, the same for SQLite and PostgreSQL, and the numbers kept in them.
them.

Rules for steps:

  - A database says how many of them it has had (SQLite's `PRAGMA user_version`, PostgreSQL's table `meta`). Opening it
    runs those that it has not had, each in a transaction together with its number. More than there are here is a newer
    lanman's, and is refused (`lanman.versions`).
  - A step never changes once it was released, and none is taken out. What is to be otherwise is a new step at the end,
    which an older lanman's recorder that still runs can live with: it adds tables, indexes, columns that may be NULL.
  - `{id}` stands for the type of a key, `{serial}` for that of a key that the database counts itself, `{int}` for whole
    numbers, `{text}` for text that is compared byte by byte.

Rules for stays:

  - Each is cut at midnight UTC into rows of one day, so that who was there at a time is read from one day. `ended` of a
    row that was cut is that midnight, and `why` is CUT. The rows behind it have in `first` the id of the first one, and
    in `since` when the stay itself began.
  - `begun` of a first row is when it can have begun at the earliest, `slack` how much later it can have been. `since`
    is set there only where the stay began before anything was recorded, or what was recorded is no longer kept.
  - `ended` is NULL while it lasts. Such rows are of the day in which their server was last seen: when that day is
    over, all are cut in the transaction that notes the first look of the next one.
  - `key` of persons and paths is what they are found by: names folded (`lanman.names`), and no longer than an index
    can hold. What is found by it is compared in full (`lanman.manage.selection`). `hash` is by what a recorder finds
    out whether it has the same one already; that is compared in full as well.
"""

from __future__ import annotations

import re
from typing import Final

from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import Kind

DAY: Final = 86400

CUT: Final = 0
"""`why` of a row that goes on in a row of the next day. Other numbers are those of the table `word`."""

KINDS: Final = {Kind.SESSION: 0, Kind.FILE: 1}
HOWS: Final = {How.TOLD: 0, How.SEEN: 1, How.UNKNOWN: 2, How.INFERRED: 3, How.CANDIDATES: 4}
KIND_OF: Final = {number: kind for kind, number in KINDS.items()}
HOW_OF: Final = {number: how for how, number in HOWS.items()}

SHORT: Final = 600
"""A row that is no longer than so many seconds is found by its begin alone. The others, which are few, and those that
last have an index of their own (`stay_long`): who was there at a time is read from few rows, however much a day has.
"""

MAX_KEY: Final = 256
"""The longest key in characters: PostgreSQL's indexes hold 2704 bytes, and a character has up to four."""

STEPS: Final = (
    # 1: stays, gaps and deeds
    """
    CREATE TABLE setting (name {text} PRIMARY KEY, value {text} NOT NULL);
    CREATE TABLE server (
        id {id}, name {text} NOT NULL UNIQUE, since {int} NOT NULL, seen {int} NOT NULL, due {int} NOT NULL,
        every {int}, oldest {int} NOT NULL
    );
    CREATE TABLE word (id {id}, word {text} NOT NULL);
    CREATE TABLE person (
        id {id}, user_name {text}, client_name {text}, client_how {int} NOT NULL, candidates {text}, address {text},
        key {text}, hash {int} NOT NULL
    );
    CREATE INDEX person_key ON person (key);
    CREATE INDEX person_hash ON person (hash);
    CREATE TABLE person_client (key {text} NOT NULL, person {int} NOT NULL);
    CREATE INDEX person_client_key ON person_client (key);
    CREATE INDEX person_client_person ON person_client (person);
    CREATE TABLE path (id {id}, share {text}, path {text}, key {text}, hash {int} NOT NULL);
    CREATE INDEX path_key ON path (key);
    CREATE INDEX path_hash ON path (hash);
    CREATE TABLE share (server {int} NOT NULL, name {text} NOT NULL, path {text} NOT NULL, PRIMARY KEY (server, name));
    CREATE TABLE stay (
        id {id}, server {int} NOT NULL, person {int} NOT NULL, kind {int} NOT NULL, path {int}, day {int} NOT NULL,
        begun {int} NOT NULL, ended {int}, begun_how {int} NOT NULL, slack {int} NOT NULL, ended_slack {int},
        why {int}, access {int}, level {int}, first {int}, since {int}
    );
    CREATE INDEX stay_day ON stay (server, day, begun);
    CREATE INDEX stay_long ON stay (server, day, begun, ended) WHERE ended IS NULL OR ended - begun > 600;
    CREATE INDEX stay_path ON stay (path, begun);
    CREATE INDEX stay_person ON stay (person, begun);
    CREATE INDEX stay_first ON stay (first, day) WHERE first IS NOT NULL;
    CREATE TABLE gap (
        id {id}, server {int} NOT NULL, begun {int} NOT NULL, ended {int}, why {text} NOT NULL, detail {text} NOT NULL
    );
    CREATE INDEX gap_server ON gap (server, begun);
    CREATE TABLE deed (
        id {serial}, at {int} NOT NULL, server {text} NOT NULL, who {text} NOT NULL, verb {text} NOT NULL,
        outcome {text} NOT NULL, target {text}, client_name {text}, user_name {text}, path {text}, plan {text},
        told {text}, detail {text}
    );
    CREATE INDEX deed_at ON deed (at);
    CREATE INDEX deed_plan ON deed (plan, at);
    """,
    # 2: what policies have promised
    """
    CREATE TABLE note (role {text} NOT NULL, name {text} NOT NULL, value {text} NOT NULL, PRIMARY KEY (role, name));
    """,
)

SQLITE: Final = {"id": "INTEGER PRIMARY KEY", "serial": "INTEGER PRIMARY KEY", "int": "INTEGER", "text": "TEXT"}
POSTGRESQL: Final = {
    "id": "BIGINT PRIMARY KEY",
    "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "int": "BIGINT",
    "text": 'TEXT COLLATE "C"',
}

# What a database cannot hold as text: NUL (PostgreSQL), halves of surrogate pairs (both, being UTF-8).
_UNFIT: Final = re.compile("[\x00\ud800-\udfff]")


def statements(step: str, types: dict[str, str]) -> list[str]:
    """The statements of a step for one kind of database."""
    return [text.strip() for text in step.format(**types).split(";") if text.strip()]


def storable(text: str) -> str:
    """Text as it can be kept: what no database holds is written as what it is, `\\x00`, `\\ud800`."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNFIT.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if found[0] == "\x00" else f"\\u{ord(found[0]):04x}", text
    )
