"""Bodies that clients of the OpenAI API send and the endpoint gets: whether they can be stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.errors import FileTooLarge, InvalidRequest

MOST_BYTES = 4_000_000
"""Of a body without its images: some million tokens, more than models take."""


def demand_storable(body: Mapping[str, Any]) -> None:
    """Raises InvalidRequest or FileTooLarge for a body that is none, or too much."""
    try:
        size = len(json.dumps(body, allow_nan=False))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body has NaN, numbers without end, or is nested too deeply.") from error
    if size > MOST_BYTES:
        raise FileTooLarge(
            f"A request may take at most {MOST_BYTES:,} bytes beside its images.",
            details={"limit": MOST_BYTES},
        )
