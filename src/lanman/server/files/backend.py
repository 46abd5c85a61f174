"""A folder that is shared: what a tree connect leads to."""

from __future__ import annotations

from lanman.domain import Session, Share
from lanman.server.effects import Reply, Work
from lanman.server.files.access import FILE_ALL_ACCESS, READ_ONLY_ACCESS
from lanman.server.files.create import Creating
from lanman.server.files.paths import LIBERAL, STRICT, Spelling
from lanman.server.files.table import Files
from lanman.server.state import Context, ShareBackend
from lanman.smb2.constants import SMB2_SHARE_TYPE_DISK, SMB2_SHAREFLAG_ENCRYPT_DATA
from lanman.smb2.messages import CreateRequest


class DiskShare(ShareBackend):
    """A share of type disk. Who may do what is the share's own business, and may change while it is in use."""

    share_type = SMB2_SHARE_TYPE_DISK
    capabilities = 0

    def __init__(self, share: Share, files: Files) -> None:
        self.share = share
        self.files = files

    @property
    def spelling(self) -> Spelling:
        """How its clients say the names of devices."""
        return LIBERAL if self.share.device_names else STRICT

    @property
    def encrypt(self) -> bool:
        """Share.EncryptData."""
        return self.share.encrypt_data

    @property
    def share_flags(self) -> int:
        """SMB2_SHAREFLAG_ENCRYPT_DATA where it is to be encrypted."""
        return SMB2_SHAREFLAG_ENCRYPT_DATA if self.share.encrypt_data else 0

    def access_for(self, session: Session) -> int:
        """Everything, reading alone, or nothing (0)."""
        if self.share.may_write(session):
            return FILE_ALL_ACCESS
        return READ_ONLY_ACCESS if self.share.may_read(session) else 0

    def create(self, context: Context, message: CreateRequest) -> Work[Reply]:
        """SMB2 CREATE of a file or directory."""
        return Creating(self.share, self.spelling, self.files, context, message).run()
