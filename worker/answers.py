"""Whether a reply is fit to be an answer: JSON where the preset has a schema, and valid under it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from core.errors import AnswerTruncated, ContentPolicyViolation, InvalidOutput, ModelError
from core.presets import Preset
from core.services.outcomes import Answer
from worker.vision import Reply

MOST_PROBLEMS = 5


class EmptyReply(ModelError):
    """The model answered with nothing."""


def fit(preset: Preset, reply: Reply) -> Answer:
    """The answer in a reply.

    Raises ContentPolicyViolation for a refusal, EmptyReply, InvalidOutput for what does
    not fit the schema.
    """
    if reply.refusal or reply.finish_reason == "content_filter":
        raise ContentPolicyViolation(reply.refusal)
    if not reply.text.strip():
        raise EmptyReply
    data = _structured(preset, reply) if preset.schema else None
    return Answer(reply.text, data, _confidence(data), reply.finish_reason)


def passed_on(reply: Reply) -> Answer:
    """The answer to a chat: whatever the endpoint said. Raises ModelError for what cannot be stored."""
    try:
        json.dumps(reply.completion, allow_nan=False)
    except ValueError as error:
        raise ModelError("The model's answer is not JSON.") from error
    return Answer(reply.text, None, None, reply.finish_reason, reply.completion)


def _structured(preset: Preset, reply: Reply) -> Any:
    if reply.finish_reason == "length":
        raise AnswerTruncated
    try:
        data = json.loads(reply.text)
        json.dumps(data, allow_nan=False)  # 1e999 is infinite, and neither JSON nor Postgres has that
    except (ValueError, RecursionError) as error:
        raise InvalidOutput(f"The model's answer is not JSON: {error}.") from error
    errors = list(_validator(preset.name, preset.version, json.dumps(preset.schema)).iter_errors(data))
    if errors:
        problems = "; ".join(f"{error.json_path}: {error.message[:200]}" for error in errors[:MOST_PROBLEMS])
        raise InvalidOutput(f"The model's answer does not fit the schema: {problems}.")
    return data


@lru_cache(maxsize=256)
def _validator(_name: str, _version: int, schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def _confidence(data: Any) -> float | None:
    """The model's own confidence, where its answer has one; Vitrine does not make one up."""
    value = data.get("confidence") if isinstance(data, dict) else None
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if usable and value is not None else None
