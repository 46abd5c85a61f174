r"""Paths of a server that is no Windows, as the calls of srvsvc write them.

`/srv/data/a.txt` travels as `C:\srv\data\a.txt`, as Samba has it too: Windows' consoles take nothing else.
"""

from __future__ import annotations


def drive_path(path: str) -> str:
    r"""`C:\srv\data` for `/srv/data`. What is not absolute (a pipe's name, the empty path of IPC$) is left as it is."""
    return "C:" + path.replace("/", "\\") if path.startswith("/") else path


def local_path(path: str) -> str:
    r"""What `drive_path` was given: `C:\srv`, `c:/srv` and `/srv` are `/srv`; anything else is left as it is."""
    bare = path[2:] if path[:2].lower() == "c:" else path
    if bare != path or path.startswith("/"):
        return "/" + bare.replace("\\", "/").lstrip("/")
    return path
