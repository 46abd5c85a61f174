"""What has changed in a directory that is watched (MS-FSCC 2.7): the answer of CHANGE_NOTIFY."""

from __future__ import annotations

from typing import ClassVar, Final

from lanman.fscc.attributes import name32
from lanman.wire import Structure, pad4, u32, wire

FILE_ACTION_ADDED: Final = 1
FILE_ACTION_REMOVED: Final = 2
FILE_ACTION_MODIFIED: Final = 3
FILE_ACTION_RENAMED_OLD_NAME: Final = 4
FILE_ACTION_RENAMED_NEW_NAME: Final = 5

CHANGE_ALIGNMENT: Final = 4


@wire()
class FileNotifyInformation(Structure):
    """FILE_NOTIFY_INFORMATION (2.7.1): one change, and where below the directory. Chained at multiples of 4."""

    next_entry_offset: ClassVar[pad4]
    action: u32
    file_name: name32
