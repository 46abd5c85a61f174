"""Keys, signatures and encryption against what Microsoft and RFC 4493 published."""

from __future__ import annotations

import random
import tracemalloc
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lanman.errors import RemoteProtocolError
from lanman.smb2 import crypto
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
from lanman.smb2.header import NO_SIGNATURE, Header, TransformHeader
from lanman.smb2.session import SessionKeys

VECTORS = Path(__file__).parent.parent / "vectors"

# "The anatomy of signing and cryptographic keys", key derivation examples.
SESSION_KEY_300 = bytes.fromhex("7CD451825D0450D235424E44BA6E78CC")
SESSION_KEY_311 = bytes.fromhex("270E1BA896585EEB7AF3472D3B4C75A7")
PREAUTH_311 = bytes.fromhex(
    "0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB79"
    "28622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01"
)
HASHES_311 = [
    "DD94EFC5321BB618A2E208BA8920D2F422992526947A409B5037DE1E0FE8C7362B8C47122594CDE0CE26AA9DFC8BCDBDE0621957672623351A"
    "7540F1E54A0426",
    "324BFA92A4F3A190E466EBEA08D9C110DC88BFED758D9846ECC6F541CC1D02AE3C94A79F36011E997E13F841B91B50957AD07B19C8E2539C0B"
    "23FDAE09D2C513",
    "AC0B0F2B9986257700365E416D142A6EDC96DF03594A19E52A15F6BD0D041CD5D432F8ED42C55E33197A50C9EC00F1462B50C592211B1471A0"
    "4B56088FDFD5F9",
    "2729E3440DFDDD839E37193F6E8F20C20CEFB3469E453A70CD980EEC06B8835740A73760085633364C8989895ECE81BF102DEEB14D4B7D48AF"
    "A76901A7A38387",
    PREAUTH_311.hex(),
]


def lines(name: str) -> list[bytes]:
    return [bytes.fromhex(line[2:]) for line in (VECTORS / name).read_text().splitlines() if line[0] != "#"]


def test_keys_of_3_0() -> None:
    assert crypto.signing_key(Dialect.SMB_3_0, SESSION_KEY_300, b"").hex() == "0b7e9c5cac36c0f6ea9ab275298cedce"
    inward, outward = crypto.encryption_keys(Dialect.SMB_3_0, SESSION_KEY_300, b"", AES_128_CCM)
    assert inward.hex() == "fad27796665b313ebb578f388632b4f7"
    assert outward.hex() == "b0f0427f7ceb416d1d9dcc0cd4f99447"
    second = crypto.signing_key(Dialect.SMB_3_0_2, bytes.fromhex("4E01A2B313BCF660CC250BEF021AEDE6"), b"")
    assert second.hex() == "ba1a17dbbfec349bca105563d598952f"


def test_keys_of_3_1_1() -> None:
    signing = crypto.signing_key(Dialect.SMB_3_1_1, SESSION_KEY_311, PREAUTH_311)
    assert signing.hex() == "73fe7a9a77bef0bde49c650d8ccb5f76"
    inward, outward = crypto.encryption_keys(Dialect.SMB_3_1_1, SESSION_KEY_311, PREAUTH_311, AES_128_GCM)
    assert inward.hex() == "629bcbc54422a0f572b97f45989b6073"
    assert outward.hex() == "e2af0dcefac68da71a0dfbd0d1350d74"


def test_keys_of_aes_256_come_from_the_whole_session_key() -> None:
    key = bytes(range(32))
    signing = crypto.signing_key(Dialect.SMB_3_1_1, key, PREAUTH_311)
    assert signing == crypto.signing_key(Dialect.SMB_3_1_1, key[:16], PREAUTH_311)
    inward, outward = crypto.encryption_keys(Dialect.SMB_3_1_1, key, PREAUTH_311, AES_256_GCM)
    assert len(inward) == len(outward) == 32
    assert inward == crypto.derive_key(key, b"SMBC2SCipherKey\0", PREAUTH_311, 32)
    assert inward[:16] != crypto.derive_key(key, b"SMBC2SCipherKey\0", PREAUTH_311, 16)


@pytest.mark.parametrize(
    ("dialect", "cipher", "size"),
    [(Dialect.SMB_3_0, AES_128_CCM, 16), (Dialect.SMB_3_1_1, AES_128_GCM, 16), (Dialect.SMB_3_1_1, AES_256_GCM, 32)],
)
def test_a_session_derives_the_keys_that_encrypt_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, dialect: int, cipher: int, size: int
) -> None:
    key = bytes(range(size))
    expected = crypto.encryption_keys(dialect, key, PREAUTH_311, cipher)
    derived: list[int] = []
    real = crypto.encryption_keys

    def counted(*given: Any) -> tuple[bytes, bytes]:
        derived.append(1)
        return real(*given)

    monkeypatch.setattr(crypto, "encryption_keys", counted)
    ends = []
    for server in (False, True):
        keys = SessionKeys(7, dialect, AES_CMAC)
        keys.derive(key, PREAUTH_311, cipher, bytes, server=server)
        ends.append(keys)
    assert not derived
    assert [end.decryption_key for end in ends] == [expected[1], expected[0]]
    for sender, receiver in (ends, ends[::-1]):
        assert sender.encryptor is not None
        frame = b"".join(bytes(part) for part in sender.encryptor.encrypt(b"something"))
        header = TransformHeader.unpack(memoryview(frame))
        assert crypto.decrypt(cipher, receiver.decryption_key, header, memoryview(frame)) == b"something"
    assert len(derived) == 2


def test_a_session_without_a_cipher_has_no_keys_that_encrypt() -> None:
    keys = SessionKeys(7, Dialect.SMB_3_1_1, AES_CMAC)
    keys.derive(SESSION_KEY_311, PREAUTH_311, 0, bytes, server=True)
    assert keys.decryption_key == b""
    assert keys.encryptor is None


@pytest.mark.parametrize("algorithm", [HMAC_SHA256, AES_CMAC, AES_GMAC])
def test_a_signer_signs_as_sign_does(algorithm: int) -> None:
    key = bytes(range(16))
    signer = crypto.signer(algorithm, key)
    for number, response in product((0, 1, (1 << 64) - 2), (False, True)):
        nonce = crypto.signing_nonce(number, response=response, cancel=False)
        whole = bytes([number & 0xFF]) * (64 + number % 37)
        assert signer(whole, number, response) == crypto.sign(algorithm, key, (whole[:64], whole[64:]), nonce)


def test_before_3_0_the_session_key_signs() -> None:
    assert crypto.signing_key(Dialect.SMB_2_1, b"short", b"") == b"short".ljust(16, b"\0")
    assert crypto.signing_key(Dialect.SMB_2_0_2, bytes(range(32)), b"") == bytes(range(16))
    assert crypto.encryption_keys(Dialect.SMB_2_1, SESSION_KEY_300, b"", AES_128_CCM) == (b"", b"")


def test_preauth_hash_and_last_signature_of_windows() -> None:
    *log_on, last = lines("smb2_windows_log_on.hex")
    current = bytes(64)
    for message, expected in zip(log_on, HASHES_311, strict=True):
        current = crypto.preauth_hash(current, message)
        assert current == bytes.fromhex(expected)
    key = crypto.signing_key(Dialect.SMB_3_1_1, SESSION_KEY_311, current)
    pdu = memoryview(last)
    assert crypto.verify(AES_CMAC, key, pdu, b"")
    assert Header.unpack(pdu).signature.hex() == "ebe146da120ba25fc3376a49dfe31bc1"
    for at in range(len(pdu)):
        changed = bytearray(pdu)
        changed[at] ^= 1
        assert not crypto.verify(AES_CMAC, key, memoryview(changed), b"")


def test_encryption_of_windows() -> None:
    found = lines("smb2_windows_encryption.hex")
    session_key = bytes.fromhex("B4546771B515F766A86735532DD6C4F0")
    inward, outward = crypto.encryption_keys(Dialect.SMB_3_0, session_key, b"", AES_128_CCM)
    assert crypto.signing_key(Dialect.SMB_3_0, session_key, b"").hex() == "f773cd23c18fd1e08ee510cada7cf852"
    for number, (clear, encrypted) in enumerate(zip(found[::2], found[1::2], strict=True)):
        key = outward if number % 2 else inward
        header = TransformHeader.unpack(memoryview(encrypted))
        assert header.session_id == 0x8E40014000011
        assert crypto.decrypt(AES_128_CCM, key, header, memoryview(encrypted)) == clear


@pytest.mark.parametrize(
    ("size", "mac"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_aes_cmac_of_rfc_4493(size: int, mac: str) -> None:
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )[:size]
    assert crypto.sign(AES_CMAC, key, [message], b"").hex() == mac


@pytest.mark.parametrize("algorithm", [HMAC_SHA256, AES_CMAC, AES_GMAC])
@pytest.mark.parametrize("size", [0, 1000, 20000])
def test_a_signature_does_not_depend_on_the_parts(algorithm: int, size: int) -> None:
    message = bytes(range(256)) * (size // 256 + 1)
    nonce = crypto.signing_nonce(7, response=True, cancel=False)
    whole = crypto.sign(algorithm, b"k" * 16, [message], nonce)
    parts: list[bytes | memoryview] = [message[:64], memoryview(message)[64:65], message[65:]]
    assert crypto.sign(algorithm, b"k" * 16, parts, nonce) == whole
    assert len(whole) == 16
    assert crypto.sign(algorithm, b"K" * 16, [message], nonce) != whole


def test_a_gmac_nonce_tells_who_says_what() -> None:
    assert crypto.signing_nonce(1, response=False, cancel=False).hex() == "010000000000000000000000"
    assert crypto.signing_nonce(1, response=True, cancel=False).hex() == "010000000000000001000000"
    assert crypto.signing_nonce(1 << 63, response=False, cancel=True).hex() == "000000000000008002000000"


@pytest.mark.parametrize("cipher", [AES_128_CCM, AES_128_GCM, AES_256_CCM, AES_256_GCM])
def test_encrypted_and_decrypted(cipher: int) -> None:
    key = bytes(range(32 if cipher in (AES_256_CCM, AES_256_GCM) else 16))
    encryptor = crypto.Encryptor(cipher, key, 77, lambda size: b"r" * size)
    nonces = set()
    for message in (b"", b"x", bytes(5000)):
        frame = b"".join(encryptor.encrypt(message))
        header = TransformHeader.unpack(memoryview(frame))
        nonces.add(header.nonce)
        assert (header.session_id, header.original_message_size) == (77, len(message))
        assert header.nonce[crypto.nonce_size(cipher) :] == bytes(16 - crypto.nonce_size(cipher))
        assert crypto.decrypt(cipher, key, header, memoryview(frame)) == message
        for at in {4, 20, 36, 44, 51, len(frame) - 1}:
            changed = bytearray(frame)
            changed[at] ^= 0x80
            view = memoryview(changed)
            with pytest.raises(RemoteProtocolError):
                crypto.decrypt(cipher, key, TransformHeader.unpack(view), view)
    assert len(nonces) == 3


@pytest.mark.parametrize("size", [32_768 - 52, 32_768, 100_001, 1 << 20])
@pytest.mark.parametrize("cipher", [AES_128_GCM, AES_256_GCM, AES_128_CCM])
def test_large_messages_are_the_same_in_parts_and_in_place(cipher: int, size: int) -> None:
    key = bytes(range(32 if cipher == AES_256_GCM else 16))
    head, body, tail = b"head" * 20, random.Random(size).randbytes(size), b"tail"
    whole = b"".join(crypto.Encryptor(cipher, key, 77, lambda size: b"r" * size).encrypt(head + body + tail))
    for ours in (body, memoryview(bytearray(body)), memoryview(bytearray(b"in front" + body))[8:]):
        for in_place in (False, True):
            encryptor = crypto.Encryptor(cipher, key, 77, lambda size: b"r" * size)
            was_ours = memoryview(ours).tobytes()
            frame = b"".join(encryptor.encrypt_parts([head, ours, tail], in_place=in_place))
            assert frame == whole
            if not in_place:
                assert ours == was_ours, "a client's data stay as they are"
            elif isinstance(ours, memoryview):
                ours[:] = body
    header = TransformHeader.unpack(memoryview(whole))
    for received in (whole, bytearray(whole)):
        assert crypto.decrypt(cipher, key, header, memoryview(received)) == head + body + tail
    for at in (20, 51, 52, len(whole) - 1):
        changed = bytearray(whole)
        changed[at] ^= 1
        view = memoryview(changed)
        with pytest.raises(RemoteProtocolError, match="changed in transit"):
            crypto.decrypt(cipher, key, TransformHeader.unpack(view), view)


def test_a_large_answer_is_encrypted_without_being_copied() -> None:
    """A frame of 8 MiB was copied twice on its way out, and twice on its way in."""
    size = 8 << 20
    encryptor = crypto.Encryptor(AES_128_GCM, bytes(16), 77, lambda size: b"r" * size)
    data = memoryview(bytearray(size))
    tracemalloc.start()
    try:
        parts = encryptor.encrypt_parts([bytes(80), data], in_place=True)
        frame = bytearray().join(parts)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        encryptor.encrypt_parts([bytes(80), data], in_place=True)
        crypto.decrypt(AES_128_GCM, bytes(16), TransformHeader.unpack(memoryview(frame)), memoryview(frame))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < size / 100


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="no signing algorithm 9"):
        crypto.sign(9, bytes(16), [NO_SIGNATURE], b"")
