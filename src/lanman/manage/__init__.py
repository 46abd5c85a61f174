"""What one can ask of a server: one `Manager` interface, and `open_manager` that chooses who answers."""

from __future__ import annotations

from lanman.manage.manager import CloseResult, FileCloseResult, Manager, Sessions
from lanman.manage.open import open_manager

__all__ = ["CloseResult", "FileCloseResult", "Manager", "Sessions", "open_manager"]
