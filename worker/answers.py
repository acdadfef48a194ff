"""Whether a reply is fit to be an answer: JSON where a schema is asked for, and valid under it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from core import json_schemas
from core.errors import AnswerTruncated, ContentPolicyViolation, InvalidOutput, ModelError
from core.presets.brief import Brief
from core.services.outcomes import Answer
from worker import loose_json
from worker.vision import Reply

MOST_PROBLEMS = 5
LONGEST = 500_000
"""Characters of an answer that is held against a schema."""


class EmptyReply(ModelError):
    """The model answered with nothing."""


def fit(brief: Brief, reply: Reply) -> Answer:
    """The answer in a reply.

    Raises ContentPolicyViolation for a refusal, EmptyReply, AnswerTruncated, InvalidOutput for what does
    not fit the schema.
    """
    data = _fitting(brief.schema, reply)
    return Answer(reply.text, data, _confidence(data), reply.finish_reason)


def passed_on(reply: Reply, response_format: Mapping[str, Any] | None = None) -> Answer:
    """The answer to a chat: whatever the endpoint said, unless Vitrine was to see that it has a form.

    Raises ModelError for what cannot be stored, and as `fit` does where there is a form, but for tool calls.
    """
    try:
        json.dumps(reply.completion, allow_nan=False)
    except ValueError as error:
        raise ModelError("The model's answer is not JSON.") from error
    data = None
    if response_format is not None and not reply.completion["choices"][0]["message"].get("tool_calls"):
        data = _fitting(json_schemas.schema_of(response_format), reply)
    return Answer(reply.text, data, _confidence(data), reply.finish_reason, reply.completion)


def _fitting(schema: dict[str, Any] | None, reply: Reply) -> Any:
    if reply.refusal or reply.finish_reason == "content_filter":
        raise ContentPolicyViolation(reply.refusal)
    if not reply.text.strip():
        raise EmptyReply
    return None if schema is None else _structured(schema, reply)


def _structured(schema: dict[str, Any], reply: Reply) -> Any:
    if reply.finish_reason == "length":
        raise AnswerTruncated
    if len(reply.text) > LONGEST:
        raise InvalidOutput(f"The model's answer is longer than {LONGEST:,} characters.")
    try:
        found = loose_json.values(reply.text)
        json.dumps(found)  # what can be read can be nested too deeply to be written
    except RecursionError as error:
        raise InvalidOutput("The model's answer is nested too deeply.") from error
    except ValueError as error:
        raise InvalidOutput(f"The model's answer is not JSON: {error}.") from error
    problems = {place: _problems(schema, value) for place, value in enumerate(found)}
    fitting = [found[place] for place, wrong in problems.items() if not wrong]
    if not fitting:
        raise InvalidOutput(f"The model's answer does not fit the schema: {problems[len(found) - 1]}.")
    if any(value != fitting[0] for value in fitting):
        raise InvalidOutput("The model gave several answers that fit the schema, and differ.")
    return fitting[0]


def _problems(schema: dict[str, Any], data: Any) -> str:
    """What is wrong with an answer, in words; empty for nothing."""
    try:
        errors = list(_validator(json.dumps(schema)).iter_errors(data))
    except RecursionError:
        return "$: it is nested too deeply"
    except ArithmeticError:
        return "$: a number is too large to be held against the schema"
    return "; ".join(f"{error.json_path}: {error.message[:200]}" for error in errors[:MOST_PROBLEMS])


@lru_cache(maxsize=256)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def _confidence(data: Any) -> float | None:
    """The model's own confidence, where its answer has one; Vitrine does not make one up."""
    value = data.get("confidence") if isinstance(data, dict) else None
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if usable and value is not None else None
