"""What tests measure and do not assert: it is kept where somebody asks for it."""

from __future__ import annotations

import json
import os


def say(**figures: object) -> None:
    """Add figures to the file that LANMAN_FIGURES names, one JSON object a line."""
    if path := os.environ.get("LANMAN_FIGURES"):
        with open(path, "a") as file:
            print(json.dumps(figures), file=file)
