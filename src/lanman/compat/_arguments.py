"""What callers hand over, checked as an extension module in C checks it: TypeError and ValueError before any call."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex


def text(value: object, name: str) -> str | None:
    """A string or None."""
    return None if value is None else required(value, name)


def required(value: object, name: str) -> str:
    """A string. It ends at its first NUL on the wire, so it may have none."""
    if value is None:
        raise TypeError(f"{name}: None is not a valid string in this context")
    if not isinstance(value, str):
        raise TypeError(f"{name}: a str is wanted, not {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"{name}: embedded null character")
    return value


def number(value: SupportsIndex, name: str) -> int:
    """A whole number that fits into a DWORD or a LONG, whichever sign it is written with."""
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name}: an int is wanted, not {type(value).__name__}")
    whole = index(value)
    if not -(1 << 31) <= whole < 1 << 32:
        raise OverflowError(f"{name}: {whole} does not fit into 32 bits")
    return whole
