"""The most that a request of the OpenAI API can take, by what its body says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MOST_TOKENS = 128_000
"""Of one choice, where a client sets no limit."""


def text(body: Mapping[str, Any]) -> str:
    """At least all the text of a body that is paid for."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace").decode()


def most_tokens(body: Mapping[str, Any]) -> int:
    """Of all choices of a chat together; embeddings are answered with no tokens."""
    if "messages" not in body:
        return 0
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or MOST_TOKENS
    return int((body.get("n") or 1) * limit)
