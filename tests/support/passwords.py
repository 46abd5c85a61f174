"""The password of everybody whom the tests make an account for: one, where only that there is a password matters."""

from __future__ import annotations

from typing import Final

PASSWORD: Final = "correct horse"
