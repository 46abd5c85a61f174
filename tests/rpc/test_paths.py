"""Paths of this machine as management calls write them, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.rpc.srvsvc.paths import drive_path, local_path


@pytest.mark.parametrize(
    ("local", "wire"),
    [("/srv/data/a.txt", "C:\\srv\\data\\a.txt"), ("/", "C:\\"), (r"\PIPE\srvsvc", r"\PIPE\srvsvc"), ("", "")],
)
def test_there_and_back(local: str, wire: str) -> None:
    assert drive_path(local) == wire
    assert local_path(wire) == local


@pytest.mark.parametrize(
    ("wire", "local"),
    [("c:/srv", "/srv"), ("C:", "/"), ("/srv", "/srv"), ("D:\\srv", "D:\\srv"), ("srv", "srv"), ("C:srv", "/srv")],
)
def test_other_ways_to_write_them(wire: str, local: str) -> None:
    assert local_path(wire) == local


@given(st.lists(st.text(st.characters(exclude_characters="/\\\0"), min_size=1)))
def test_every_path_comes_back(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert local_path(drive_path(path)) == path
