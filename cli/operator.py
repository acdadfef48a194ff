"""What the operator's commands work with."""

from __future__ import annotations

from config import settings
from core.desk import Desk


def desk() -> Desk:
    """The desk of this command."""
    return Desk.open(settings(), name="cli")
