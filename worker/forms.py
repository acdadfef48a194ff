"""In what form a structured answer is asked for: held to its schema by the endpoint, or told it in words.

Not every endpoint keeps to a schema, and those that do refuse some. What one refuses costs nothing and is
learned, for the model and the schema: the next to ask says it in words at once.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from threading import Lock

from config import Settings
from core.presets.brief import Brief

REMEMBERED = 1_000
AUTO, PROMPT = "auto", "prompt"


class Forms:
    """What this process has learned of its endpoint. Used from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._mode = settings.structured_output
        self._lock = Lock()
        self._refused: OrderedDict[str, None] = OrderedDict()

    def is_prompted(self, model: str, brief: Brief) -> bool:
        """Whether the model has to be told the schema in words."""
        if brief.schema is None:
            return False
        if self._mode != AUTO:
            return self._mode == PROMPT
        with self._lock:
            return _key(model, brief) in self._refused

    def refuse(self, model: str, brief: Brief) -> bool:
        """Learn that the endpoint does not take this form; whether to ask once more, in words."""
        if self._mode != AUTO:
            return False
        with self._lock:
            self._refused[_key(model, brief)] = None
            if len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)
        return True


def _key(model: str, brief: Brief) -> str:
    return hashlib.sha256(f"{model}\n{json.dumps(brief.schema)}".encode()).hexdigest()
