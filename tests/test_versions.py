"""Versions of what is kept: where a text says its own, and what is refused."""

from __future__ import annotations

import pytest

from lanman.versions import NewerVersion, check_version, version_line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"version = 3\n", (1, 3)),
        (b"# heading\n\nversion=12  # of the file\n[user ann]\n", (3, 12)),
        (b"[user ann]\nversion = 3\n", None),
        (b"\n[[setting]]\nversion = 3\n", None),
        (b"version = three\n", None),
        (b"reversion = 3\n", None),
        (b"", None),
        (b"\xff\xfe\nversion = 4", (2, 4)),
        (b"\xef\xbb\xbfversion = 4\n", (1, 4)),
    ],
)
def test_where_a_text_says_its_version(text: bytes, found: tuple[int, int] | None) -> None:
    assert version_line(text) == found


def test_a_newer_version_is_refused_with_its_number_and_the_remedy() -> None:
    for known in (0, 1, 2):
        check_version(known, 2)
    with pytest.raises(NewerVersion, match="it has version 3, and this lanman knows none after 2") as caught:
        check_version(3, 2)
    assert "put back what a backup has" in (caught.value.hint or "")
