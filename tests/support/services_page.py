"""The table of docs/reference/services.md: what each service tells, and the words for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "reference" / "services.md"

FIELDS: Final = {
    "session": "client_name user_name num_opens active_time idle_time user_flags client_type transport",
    "file": "id permissions num_locks path user_name",
    "connection": "id type num_opens num_users active_time user_name net_name",
    "share": "netname type remark permissions max_uses current_uses path passwd",
    "server": "platform_id name version_major version_minor type comment users disc hidden announce anndelta licenses "
    "userpath",
}
"""Which fields of each kind of record are rows of the table."""


def table() -> dict[str, dict[str, str]]:
    """The cells, by service and by what is told."""
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    head = next(index for index, row in enumerate(rows) if row[0] == "Told")
    services = rows[head][1:]
    return {
        service: {row[0].strip("`"): row[1 + place] for row in rows[head + 2 :] if len(row) == len(rows[head])}
        for place, service in enumerate(services)
    }


def mark(value: Any, truth: Any) -> str:
    """The word of the page for a value, where `truth` is the case; None where nobody else knows."""
    if value is None:
        return "-"
    if truth is None:
        return "its own"
    if truth == value:
        return "yes"
    if value == f"\\\\{truth}":
        return "with `\\\\`"
    if value == "C:" + str(truth).replace("/", "\\"):
        return "`C:\\...`"
    if value == str(truth).rpartition("/")[2]:
        return "the last part"
    return f"another: {value!r}"
