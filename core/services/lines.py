"""The lines of a batch of the OpenAI API: each is checked by itself, and every bad one is told.

The contract: https://platform.openai.com/docs/api-reference/batch/request-input (read 2026-06).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.desk import Desk
from core.errors import VitrineError
from core.models.analysis import CUSTOM_ID_LENGTH
from core.services import chat
from core.services.chat import ChatRequest, ReadImage
from core.services.item_values import is_storable
from core.services.models import preset_finder
from core.services.problems import MOST_PROBLEMS
from core.services.rows import MOST_ITEMS

LONGEST_LINE = 20_000_000
"""Bytes: an image of MAX_FILE_SIZE as base64, and some."""
REQUIRED = {"custom_id": str, "method": str, "url": str, "body": dict}
MESSAGE_LENGTH = 500
KINDS = {str: "a text", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch."""

    number: int
    """From 1, blank lines counted."""
    custom_id: str
    request: ChatRequest


class BadLine(Exception):
    """A line that cannot be run: `code` and `param` are what the OpenAI API calls it."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


class Lines:
    """Reads the lines of one batch of an account and remembers what is wrong with them."""

    def __init__(self, desk: Desk, account_id: str, endpoint: str, read_image: ReadImage) -> None:
        self._desk = desk
        self._endpoint = endpoint
        self._read_image = read_image
        self._find_preset = preset_finder(desk, account_id)
        self._seen: set[str] = set()
        self._errors: list[dict[str, Any]] = []
        self.error_count = 0

    def read(self, rows: Iterable[tuple[int, bytes]]) -> Iterator[Line]:
        """The good ones of numbered lines, one at a time; the bad ones are noted. Blank ones do not count."""
        count = 0
        for number, content in rows:
            if not content.strip():
                continue
            count += 1
            if count > MOST_ITEMS:
                return self.note(number, BadLine("too_many_lines", f"A batch takes {MOST_ITEMS:,} lines."))
            if line := self._line(number, content):
                yield line
        if not count:
            self.note(1, BadLine("empty_file", "The input has no lines."))
        return None

    def note(self, number: int, error: BadLine) -> None:
        """Remember that a line is bad."""
        self.error_count += 1
        if len(self._errors) < MOST_PROBLEMS:
            message = _tellable(error.message)
            self._errors.append(
                {"code": error.code, "message": message, "param": error.param, "line": number}
            )

    def told(self) -> list[dict[str, Any]]:
        """Each error as {code, message, param, line}, by line; of too many, how many more there are."""
        errors = sorted(self._errors, key=lambda error: int(error["line"]))
        if (more := self.error_count - len(errors)) > 0:
            message = f"{more:,} more problems are not told."
            errors.append({"code": "too_many_errors", "message": message, "param": None, "line": None})
        return errors

    def _line(self, number: int, content: bytes) -> Line | None:
        try:
            row = _object(content)
            custom_id = self._custom_id(row)
            return Line(number, custom_id, self._request(row))
        except BadLine as error:
            self.note(number, error)
        except VitrineError as error:
            self.note(number, BadLine(error.code, error.message, error.details.get("field")))
        return None

    def _custom_id(self, row: Mapping[str, Any]) -> str:
        custom_id = str(row["custom_id"])
        if not 0 < len(custom_id) <= CUSTOM_ID_LENGTH or not is_storable(custom_id):
            wanted = f"custom_id takes 1 to {CUSTOM_ID_LENGTH} characters, none of them NUL."
            raise BadLine("invalid_custom_id", wanted, "custom_id")
        if custom_id in self._seen:
            raise BadLine("duplicate_custom_id", "Another line has this custom_id already.", "custom_id")
        self._seen.add(custom_id)
        return custom_id

    def _request(self, row: Mapping[str, Any]) -> ChatRequest:
        body = row["body"]
        if row["method"] != "POST":
            raise BadLine("invalid_method", "method must be POST.", "method")
        if row["url"] != self._endpoint:
            raise BadLine("invalid_url", f"url must be the endpoint of the batch, {self._endpoint}.", "url")
        if body.get("stream"):
            raise BadLine("streaming_unsupported", "Lines of a batch cannot be streamed.", "body.stream")
        if "model" not in body:
            raise BadLine("missing_required_parameter", "body.model is missing.", "body.model")
        return chat.parse(self._desk, body, self._read_image, self._find_preset)


def _tellable(message: str) -> str:
    """A message that Postgres can hold: it may quote the client, who can write anything at any length."""
    return message[:MESSAGE_LENGTH].encode("utf-8", "replace").decode().replace("\0", "?")


def _object(content: bytes) -> dict[str, Any]:
    """The object on a line, with all that it needs. Raises BadLine."""
    if len(content) > LONGEST_LINE:
        raise BadLine("line_too_long", f"A line has at most {LONGEST_LINE:,} bytes: upload images as files.")
    try:
        row = json.loads(content.decode())
    except (ValueError, RecursionError) as error:  # also what is not UTF-8
        raise BadLine("invalid_json_line", "The line is not valid JSON.") from error
    if not isinstance(row, dict):
        raise BadLine("invalid_json_line", "The line is not a JSON object.")
    for name, kind in REQUIRED.items():
        if row.get(name) is None:
            raise BadLine("missing_required_parameter", f"{name} is missing.", name)
        if not isinstance(row[name], kind):
            raise BadLine("invalid_type", f"{name} must be {KINDS[kind]}.", name)
    return row
