"""`lanman` and `python -m lanman`: what must happen before the rest is loaded."""

from __future__ import annotations

import gc
import sys

# gc.set_threshold: a command (a list of sessions makes 50,000 objects) ends before it has made so many that looking for
# cycles among them would pay.
_THRESHOLDS = (100_000, 10, 10)


def main() -> None:
    """The command. Its exit status: 0, 1 wrong syntax, 2 any other error, 5 access denied, 130 interrupted, 141
    when who reads its output has stopped reading."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        # The parser alone would take longer than all of the rest.
        from lanman import __version__

        try:
            print(f"lanman {__version__}", flush=True)
        except (OSError, ValueError):
            # Nobody reads it, or it cannot be written: the whole command knows what to say then, and what not.
            pass
        else:
            return
    gc.set_threshold(*_THRESHOLDS)
    try:
        from lanman.faces.cli.secrets import cover_secrets

        cover_secrets(arguments)
        from lanman.faces.cli.main import run

        status = run(arguments)
    except KeyboardInterrupt:
        status = 130
    # The interpreter looks for cycles among all objects when it ends, and the memory is given back anyway.
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    main()
