"""MD4 against the vectors of RFC 1320, NT hashes against published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.auth.md4 import BadHash, md4, nt_hash, parse_nt_hash


@pytest.mark.parametrize(
    ("data", "digest"),
    [  # RFC 1320 A.5
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"message digest", "d9130a8164549fe818874806e1c7014b"),
        (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_rfc_1320(data: bytes, digest: str) -> None:
    assert md4(data).hex() == digest


def test_published_nt_hash() -> None:
    assert nt_hash("Password").hex() == "a4f49c406510bdcab6824ee7c30fd852"  # MS-NLMP 4.2.2.1.2


@given(st.text(max_size=200))
def test_like_impacket(password: str) -> None:
    ntlm = pytest.importorskip("impacket.ntlm")
    assert nt_hash(password) == ntlm.compute_nthash(password)


def test_lone_surrogate_is_a_password_too() -> None:
    assert len(nt_hash("\ud800")) == 16


@pytest.mark.parametrize(
    "text",
    [
        "a4f49c406510bdcab6824ee7c30fd852",
        " A4F49C406510BDCAB6824EE7C30FD852\n",
        "aad3b435b51404eeaad3b435b51404ee:a4f49c406510bdcab6824ee7c30fd852",
        ":a4f49c406510bdcab6824ee7c30fd852",
    ],
)
def test_parse(text: str) -> None:
    assert parse_nt_hash(text) == nt_hash("Password")


@pytest.mark.parametrize("text", ["", "abc", "a4f49c406510bdcab6824ee7c30fd85", "g" * 32, "٣" * 32, "a4 " * 10 + "a4"])
def test_parse_refuses_without_repeating(text: str) -> None:
    with pytest.raises(BadHash) as caught:
        parse_nt_hash(text)
    assert "32 hexadecimal digits" in caught.value.message
    assert not text or text not in str(caught.value)
    assert caught.value.code == 87
