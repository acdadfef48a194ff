"""The chunks of a streamed answer, put together to what the endpoint would have said in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ONCE = frozenset({"role", "type", "id", "name", "object"})
"""Texts that a later chunk repeats rather than continues."""


class Assembly:
    """Takes chunks in their order; fields that nobody knows are kept too."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take one. Raises LookupError, TypeError or AttributeError for what is no chunk."""
        self._head |= {name: value for name, value in chunk.items() if name != "choices"}
        for choice in chunk["choices"]:
            so_far = self._choices.setdefault(choice["index"], {"message": {}})
            said = {name: value for name, value in choice.items() if name != "delta"}
            so_far |= {name: _joined(name, so_far.get(name), value) for name, value in said.items()}
            so_far["message"] = _joined("message", so_far["message"], choice.get("delta"))

    def is_whole(self) -> bool:
        """Whether every choice came to its end."""
        return bool(self._choices) and all(choice.get("finish_reason") for choice in self._choices.values())

    def completion(self) -> dict[str, Any]:
        """All of it."""
        choices = [_whole(self._choices[index]) for index in sorted(self._choices)]
        return self._head | {"object": "chat.completion", "choices": choices}


def _joined(name: str, old: Any, new: Any) -> Any:
    """A value and what a later chunk adds to it."""
    if old is None or new is None:
        return old if new is None else new
    if isinstance(old, str) and isinstance(new, str) and name not in ONCE:
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _joined(key, old.get(key), value) for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        return _listed(old, new)
    return new


def _listed(old: list[Any], new: list[Any]) -> list[Any]:
    """Members that have an index are continued, as tool calls are; others follow."""
    joined = list(old)
    for item in new:
        index = item.get("index") if isinstance(item, dict) else None
        known = (place for place, one in enumerate(joined) if index is not None and one["index"] == index)
        place = next(known, None)
        if place is None:
            joined.append(item)
        else:
            joined[place] = _joined("", joined[place], item)
    return joined


def _whole(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice as it stands in a completion, whose tool calls have no index."""
    message = {"content": None} | choice["message"]
    if calls := message.get("tool_calls"):
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"} for call in calls
        ]
    return {**choice, "message": message}
