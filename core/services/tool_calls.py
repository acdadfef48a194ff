"""Tool calls of a conversation: each is answered once, by its id, before anything else is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeGuard

from core.errors import InvalidRequest, InvalidToolCall, quoted
from core.models.session import TOOL_CALL_ID_LENGTH
from core.store.messages import Spoken

MOST_NAMED = 20
"""Calls, in an error."""


def check(
    messages: Sequence[Mapping[str, Any]],
    open_calls: AbstractSet[str] = frozenset(),
    names: Sequence[str] | None = None,
) -> None:
    """Raises InvalidToolCall, or InvalidRequest, for messages that do not answer each call once.

    `open_calls` are those that were made before the first of them; `names` says where each of them stands in
    the request, unless they are its `messages`.
    """
    waiting = set(open_calls)
    for place, message in enumerate(messages):
        param = names[place] if names else f"messages[{place}]"
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            if not isinstance(call_id, str) or call_id not in waiting:
                raise InvalidToolCall(
                    f"{param}.tool_call_id answers no tool call of the message before, or one that has"
                    " been answered.",
                    details={"field": f"{param}.tool_call_id"},
                )
            waiting.remove(call_id)
            continue
        _demand_answers(waiting, param)
        waiting = _ids(message, param)
    _demand_answers(waiting, "messages")


def of(spoken: Spoken) -> list[dict[str, Any]]:
    """The calls that a message makes, as clients see them and models are told of them."""
    return identified(spoken.calls, spoken.message.id)


def identified(calls: Any, prefix: str) -> list[dict[str, Any]]:
    """The calls that an endpoint made, each with an id of its own: some endpoints give none, or one twice.

    The same calls get the same ids whenever they are looked at.
    """
    found: dict[str, dict[str, Any]] = {}
    for place, call in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(call, dict):
            given = call.get("id")
            call_id = given if _is_usable(given) and given not in found else f"{prefix}_{place}"
            found[call_id] = {**call, "id": call_id}
    return list(found.values())


def _is_usable(call_id: Any) -> TypeGuard[str]:
    return isinstance(call_id, str) and 0 < len(call_id) <= TOOL_CALL_ID_LENGTH


def _demand_answers(waiting: AbstractSet[str], param: str) -> None:
    if waiting:
        first = sorted(waiting)[:MOST_NAMED]
        calls = ", ".join([*map(quoted, first), *(["…"] if len(first) < len(waiting) else [])])
        raise InvalidToolCall(
            f"Answer these tool calls first, each by a message of the role tool: {calls}.",
            details={"field": param},
        )


def _ids(message: Mapping[str, Any], param: str) -> set[str]:
    """The ids of the calls that a message makes."""
    calls = message.get("tool_calls")
    if message["role"] != "assistant" or calls is None:
        return set()
    param = f"{param}.tool_calls"
    if not isinstance(calls, list) or not calls:
        raise InvalidRequest(f"{param} must be a list of at least one.", details={"field": param})
    ids = [call.get("id") if isinstance(call, dict) else None for call in calls]
    if not all(isinstance(call_id, str) and call_id for call_id in ids) or len(set(ids)) < len(ids):
        raise InvalidToolCall(f"Each of {param} needs an id of its own.", details={"field": param})
    return {str(call_id) for call_id in ids}
