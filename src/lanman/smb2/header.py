"""The headers in front of every message: SMB2 (MS-SMB2 2.2.1) and TRANSFORM (2.2.41)."""

from __future__ import annotations

import struct
from typing import Final

from lanman.errors import MalformedMessage
from lanman.plain import dataclass
from lanman.smb2.constants import (
    SMB2_FLAGS_ASYNC_COMMAND,
    SMB2_PROTOCOL_ID,
    SMB2_TRANSFORM_PROTOCOL_ID,
)

HEADER_SIZE: Final = 64
SIGNATURE_AT: Final = 48
TRANSFORM_SIZE: Final = 52
NO_SIGNATURE: Final = bytes(16)

# ProtocolId, StructureSize, CreditCharge, Status, Command, Credits, Flags, NextCommand, MessageId, AsyncId (or Reserved
# and TreeId) as one number, SessionId, Signature.
_HEADER: Final = struct.Struct("<4sHHIHHIIQQQ16s")
# ProtocolId, Signature, Nonce, OriginalMessageSize, Reserved, Flags, SessionId.
_TRANSFORM: Final = struct.Struct("<4s16s16sIHHQ")


@dataclass(slots=True)
class Header:
    """The SMB2 header (2.2.1). `async_id` counts when flags say ASYNC_COMMAND, `tree_id` otherwise.

    In a request of 3.x `status` is ChannelSequence and Reserved. `credits` is CreditRequest or CreditResponse.
    """

    command: int
    message_id: int
    session_id: int = 0
    tree_id: int = 0
    flags: int = 0
    status: int = 0
    credits: int = 0
    credit_charge: int = 0
    next_command: int = 0
    async_id: int = 0
    process_id: int = 0  # the reserved half beside TreeId; clients put 0xFEFF there
    signature: bytes = NO_SIGNATURE

    def pack(self) -> bytes:
        """The 64 bytes. `pack_request` makes them without the object."""
        if self.flags & SMB2_FLAGS_ASYNC_COMMAND:
            wide = self.async_id
        else:
            wide = self.tree_id << 32 | self.process_id
        return _HEADER.pack(
            SMB2_PROTOCOL_ID,
            HEADER_SIZE,
            self.credit_charge,
            self.status,
            self.command,
            self.credits,
            self.flags,
            self.next_command,
            self.message_id,
            wide,
            self.session_id,
            self.signature,
        )

    @classmethod
    def unpack(cls, pdu: memoryview) -> Header:
        """Read the header at the start of `pdu`."""
        try:
            (
                protocol,
                size,
                charge,
                status,
                command,
                credits,
                flags,
                following,
                message_id,
                wide,
                session_id,
                signature,
            ) = _HEADER.unpack_from(pdu)
        except struct.error:
            raise MalformedMessage("SMB2 header: cut short") from None
        if protocol != SMB2_PROTOCOL_ID or size != HEADER_SIZE:
            raise MalformedMessage("not an SMB2 header")
        if flags & SMB2_FLAGS_ASYNC_COMMAND:
            async_id, tree_id, process_id = wide, 0, 0
        else:
            async_id, tree_id, process_id = 0, wide >> 32, wide & 0xFFFFFFFF
        return cls(
            command,
            message_id,
            session_id,
            tree_id,
            flags,
            status,
            credits,
            charge,
            following,
            async_id,
            process_id,
            signature,
        )


def pack_request(
    command: int, message_id: int, session_id: int, tree_id: int, flags: int, credits: int, charge: int, following: int
) -> bytes:
    """The header of a synchronous request, without its signature. `following` is NextCommand."""
    return _HEADER.pack(
        SMB2_PROTOCOL_ID,
        HEADER_SIZE,
        charge,
        0,
        command,
        credits,
        flags,
        following,
        message_id,
        tree_id << 32,
        session_id,
        NO_SIGNATURE,
    )


@dataclass(slots=True)
class TransformHeader:
    """SMB2 TRANSFORM_HEADER (2.2.41): in front of an encrypted message. `nonce` is 16 bytes, unused ones zero."""

    nonce: bytes
    original_message_size: int
    session_id: int
    flags: int = 1  # Encrypted; in 3.0 and 3.0.2 the same number says AES-128-CCM
    signature: bytes = NO_SIGNATURE

    def pack(self) -> bytes:
        """The 52 bytes; those from offset 20 on are what the cipher authenticates besides the message (3.1.4.3)."""
        return _TRANSFORM.pack(
            SMB2_TRANSFORM_PROTOCOL_ID,
            self.signature,
            self.nonce,
            self.original_message_size,
            0,
            self.flags,
            self.session_id,
        )

    @classmethod
    def unpack(cls, frame: memoryview) -> TransformHeader:
        """Read the header at the start of `frame`."""
        try:
            protocol, signature, nonce, size, _, flags, session_id = _TRANSFORM.unpack_from(frame)
        except struct.error:
            raise MalformedMessage("TRANSFORM_HEADER: cut short") from None
        if protocol != SMB2_TRANSFORM_PROTOCOL_ID:
            raise MalformedMessage("not a TRANSFORM_HEADER")
        return cls(nonce, size, session_id, flags, signature)
