"""libsmbclient as a process of its own. Runs in the system's Python, which has python3-smbc: never imported.

smbc_peer.py smb://HOST:PORT/SHARE      reads a line ["user", "password"], then commands, each a JSON list of words, and
                                        answers each with a line: {"result": ...} or {"refused": "why"}
"""

import json
import os
import sys
from urllib.parse import quote

import smbc


def read(context, url):
    file = context.open(url, os.O_RDONLY)
    data = b""
    while part := file.read(65536):
        data += part
    file.close()
    return data.hex()


def write(context, url, data, flags):
    file = context.open(url, os.O_WRONLY | os.O_CREAT | flags, 0o644)
    try:
        file.write(bytes.fromhex(data))
    finally:
        file.close()


COMMANDS = {
    "write": lambda context, url, data: write(context, url(0), data, os.O_TRUNC),
    "create": lambda context, url, data: write(context, url(0), data, os.O_EXCL),
    "read": lambda context, url, _: read(context, url(0)),
    "rename": lambda context, url, _: context.rename(url(0), url(1)),
    "delete": lambda context, url, _: context.unlink(url(0)),
    "make_folder": lambda context, url, _: context.mkdir(url(0), 0o755),
    "remove_folder": lambda context, url, _: context.rmdir(url(0)),
    "names": lambda context, url, _: [
        entry.name for entry in context.opendir(url(0)).getdents() if entry.name not in (".", "..")
    ],
}


def main():
    root = sys.argv[1]
    user, password = json.loads(sys.stdin.readline())
    print(json.dumps({"result": None}), flush=True)
    context = smbc.Context(auth_fn=lambda server, share, workgroup, name, word: (workgroup, user, password))
    context.optionNoAutoAnonymousLogin = True
    for line in sys.stdin:
        verb, *words = json.loads(line)
        try:
            result = COMMANDS[verb](context, lambda index, words=words: f"{root}/{quote(words[index])}", words[-1])
        except (OSError, RuntimeError, smbc.PermissionError) as error:
            answer = {"refused": repr(error)}
        else:
            answer = {"result": result if verb in ("read", "names") else None}
        print(json.dumps(answer), flush=True)


main()
