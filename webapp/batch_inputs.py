"""The items of a submission as they came in: in the body, in a form, or in a file from before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from marshmallow import ValidationError

from core.errors import InvalidRequest
from core.services import files
from core.services.files import Upload
from core.services.inputs import OF_ROWS, demand_grouping, opened
from core.services.items import DEFAULTS
from core.views import shown
from webapp.operations import desk, key
from webapp.schemas.media import decoded
from webapp.uploads import received, spooled


def sent(image: dict[str, Any]) -> Upload:
    """The upload of an image inside an item. Raises InvalidRequest, FileTooLarge."""
    encoded, name = image["base64"], image.get("name", "")
    if not isinstance(encoded, str) or not isinstance(name, str):
        raise InvalidRequest("base64 and name must be texts.")
    try:
        return spooled(decoded(encoded), name)
    except ValidationError as error:
        raise InvalidRequest(error.messages[0]) from error


def defaults_of(body: dict[str, Any]) -> dict[str, Any]:
    """What holds for every item of a loaded body."""
    given: dict[str, Any] = body.get("defaults") or {name: body[name] for name in DEFAULTS & body.keys()}
    return given


def rows_of(body: dict[str, Any], group_by: str | None) -> AbstractContextManager[Iterable[tuple[int, Any]]]:
    """The items as they came in, with their lines: in the body, in a form, or in a file from before."""
    if "input_file_id" in body:
        return opened(desk(), files.get(desk(), key().account_id, body["input_file_id"]), group_by)
    if "inputs" in body:
        demand_grouping(group_by, OF_ROWS)
        return nullcontext(enumerate(_drained(body.pop("inputs")), 1))
    return nullcontext(enumerate(_files(body, group_by), 1))


def _drained(rows: list[Any]) -> Iterator[Any]:
    """Each row once, in their order, and gone from memory when the next is taken."""
    rows.reverse()
    while rows:
        yield rows.pop()


def _files(body: dict[str, Any], group_by: str | None) -> list[dict[str, Any]]:
    """The items of a form: an image each, with the question for all or the one in its place."""
    uploads = [received(file) for file in body["images"]]
    questions = body.get("questions", [])
    if questions and len(questions) not in {1, len(uploads)}:
        raise InvalidRequest(
            f"Send one question, or one for each of the {len(uploads)} images, not {len(questions)}.",
            details={"field": "questions"},
        )
    asked = questions * len(uploads) if len(questions) == 1 else questions
    rows: list[dict[str, Any]] = [{"image": upload, **_called(upload, group_by)} for upload in uploads]
    return [{**row, "question": text} for row, text in zip(rows, asked, strict=True)] if asked else rows


def _called(upload: Upload, group_by: str | None) -> dict[str, Any]:
    """The SKU and the view that the name of a file tells, where they are grouped by it."""
    return {} if group_by is None else shown(upload.name, group_by)._asdict()
