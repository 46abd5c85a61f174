"""How often is looked, before orders and after them."""

from __future__ import annotations

from typing import Final

PAUSES: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""While a server does what it was told to do: how long to wait before looking again, in seconds."""

MAX_LOOKS: Final = 16
"""How many looks there are before the orders of a plan, and as many after them, at most."""


def batch_size(number: int) -> int:
    """How many of so many orders share a look."""
    return max(1, -(-number // MAX_LOOKS))
