"""Whether a folder can be shared: it must exist, and lie where shares may be."""

from __future__ import annotations

import errno
import os
import stat

from lanman import codes
from lanman.net.disk.guard import Guard, no_storage
from lanman.net.disk.system import DiskRefused, open_real, statx
from lanman.server.changes import FindFolder


def find_folder(effect: FindFolder, guard: Guard | None = None) -> str:
    """Perform FindFolder. Raises DiskRefused; so for what `guard` keeps out of every share, which would be left out."""
    if not os.path.isabs(effect.path):
        raise DiskRefused(codes.STATUS_OBJECT_PATH_NOT_FOUND)
    path = os.path.normpath(effect.path)
    if effect.roots is not None:
        # The real path is what is kept, so that no link that is changed later leads the share out of the root.
        path = os.path.realpath(path)
        if not any(_is_inside(path, os.path.realpath(root)) for root in effect.roots):
            raise DiskRefused(codes.STATUS_ACCESS_DENIED)
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError:
        raise DiskRefused(codes.STATUS_ACCESS_DENIED) from None
    except OSError:
        is_folder = False
    if not is_folder:
        raise DiskRefused(codes.STATUS_OBJECT_PATH_NOT_FOUND)
    if not os.access(path, os.R_OK | os.X_OK):
        raise DiskRefused(codes.STATUS_ACCESS_DENIED)
    if share_problem(path, None, guard or Guard()):
        raise DiskRefused(codes.STATUS_ACCESS_DENIED)
    # Two slashes at the beginning are something else to POSIX, and nothing else here.
    return "/" + path.lstrip("/")


def share_problem(path: str, roots: tuple[str, ...] | None, guard: Guard) -> str:
    """Perform CheckShare."""
    if roots is not None and not any(_is_inside(path, os.path.realpath(root)) for root in roots):
        return "it is not within share_roots"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if roots is None else open_real(path)
    except FileNotFoundError:
        return "there is no such folder"
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            return "it is not a folder" if roots is None else "it is not a folder, or a link leads there now"
        return (error.strerror or "it cannot be opened").lower()
    try:
        if kind := no_storage(descriptor):
            return f"{kind} is not storage"
        guard.check(descriptor, statx(descriptor))
    except DiskRefused:
        return "it is in the Server's home"
    finally:
        os.close(descriptor)
    return ""


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
