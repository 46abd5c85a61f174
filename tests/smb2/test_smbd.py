"""The client's core against Debian's smbd: every dialect, signing algorithm and cipher, and the null session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.rpc.srvsvc import NetrSessionEnum, NetrSessionEnumResponse
from lanman.smb2.constants import (
    AES_128_CCM,
    AES_128_GCM,
    AES_256_CCM,
    AES_256_GCM,
    AES_CMAC,
    AES_GMAC,
    HMAC_SHA256,
    Dialect,
)
from support.smbd import Samba

CIPHERS = {
    AES_128_CCM: "aes-128-ccm",
    AES_128_GCM: "aes-128-gcm",
    AES_256_CCM: "aes-256-ccm",
    AES_256_GCM: "aes-256-gcm",
}
SIGNING = {AES_GMAC: "aes-128-gmac", AES_CMAC: "aes-128-cmac", HMAC_SHA256: "hmac-sha256"}


async def sessions(samba: Samba, dialect: Dialect, encrypt: bool) -> tuple[int, int]:
    """Cipher and signing algorithm of a connection that has listed the sessions, its own among them."""
    account = samba.administrator
    credentials = Credentials(user_name=account.user_name, password=account.password)
    async with (
        asyncio.timeout(30),
        SmbClient("127.0.0.1", samba.port, credentials, dialects=[dialect], encrypt=encrypt) as client,
    ):
        pipe = await client.open_pipe("srvsvc")
        response = await pipe.call(NetrSessionEnum("127.0.0.1", None, None, 1))
        assert isinstance(response, NetrSessionEnumResponse)
        assert response.entries is not None
        assert account.user_name in [entry.user_name for entry in response.entries]
        return client.negotiated.cipher, client.negotiated.signing_algorithm


@pytest.mark.samba
@pytest.mark.parametrize("options", [{}, {"smb encrypt": "required"}], ids=str)
async def test_every_dialect(start_samba: Callable[..., Samba], options: dict[str, str]) -> None:
    samba = start_samba({"server min protocol": "SMB2_02", **options})
    for dialect in Dialect:
        for encrypt in (False, True):
            if dialect >= Dialect.SMB_3_0:
                cipher, signing = await sessions(samba, dialect, encrypt)
                is_311 = dialect == Dialect.SMB_3_1_1
                assert (cipher, signing) == ((AES_128_GCM, AES_GMAC) if is_311 else (AES_128_CCM, AES_CMAC))
            elif not encrypt and "smb encrypt" not in options:
                assert await sessions(samba, dialect, encrypt) == (0, HMAC_SHA256)


@pytest.mark.samba
@pytest.mark.parametrize(("cipher", "signing"), list(zip(CIPHERS, [*SIGNING, AES_CMAC], strict=True)))
async def test_every_algorithm(start_samba: Callable[..., Samba], cipher: int, signing: int) -> None:
    samba = start_samba(
        {"server smb3 encryption algorithms": CIPHERS[cipher], "server smb3 signing algorithms": SIGNING[signing]}
    )
    for encrypt in (False, True):
        assert await sessions(samba, Dialect.SMB_3_1_1, encrypt) == (cipher, signing)


@pytest.mark.samba
@pytest.mark.parametrize("dialect", [Dialect.SMB_2_1, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1])
async def test_the_null_session(samba: Samba, dialect: Dialect) -> None:
    credentials = Credentials(anonymous=True)
    async with asyncio.timeout(30), SmbClient("127.0.0.1", samba.port, credentials, dialects=[dialect]) as client:
        assert await client.tree_connect("IPC$")
