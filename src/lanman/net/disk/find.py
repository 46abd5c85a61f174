"""A folder that somebody wants to share: is it there, and is it where it may be?"""

from __future__ import annotations

import os
import stat

from lanman import codes
from lanman.net.disk.system import Refused
from lanman.server.changes import FindFolder


def find_folder(effect: FindFolder) -> str:
    """Perform FindFolder. Raises Refused."""
    if not os.path.isabs(effect.path):
        raise Refused(codes.STATUS_OBJECT_PATH_NOT_FOUND)
    path = os.path.normpath(effect.path)
    if effect.roots is not None:
        # The real path is what is kept, so that no link that is changed later leads the share out of the root.
        path = os.path.realpath(path)
        if not any(_is_inside(path, os.path.realpath(root)) for root in effect.roots):
            raise Refused(codes.STATUS_ACCESS_DENIED)
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError:
        raise Refused(codes.STATUS_ACCESS_DENIED) from None
    except OSError:
        is_folder = False
    if not is_folder:
        raise Refused(codes.STATUS_OBJECT_PATH_NOT_FOUND)
    if not os.access(path, os.R_OK | os.X_OK):
        raise Refused(codes.STATUS_ACCESS_DENIED)
    # Two slashes at the beginning are something else to POSIX, and nothing else here.
    return "/" + path.lstrip("/")


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
