"""What a submission stores, by one statement that is made once: its client waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ARRAY, Interval, String, Text, bindparam, func, insert, select
from sqlalchemy.orm import Session

from core.db import Driver
from core.models import Analysis, Base, File
from core.prepared import Prepared

ANALYSES, IMAGES, FILES = (Base.metadata.tables[name] for name in ("analyses", "analysis_images", "files"))
OF_FILE = ("id", "account_id", "digest", "byte_size", "media_type", "name", "purpose")
OF_ANALYSIS = {
    "id": "id",
    "account_id": "account_id",
    "key_id": "key_id",
    "request_id": "request_id",
    "state": "state",
    "preset": "preset",
    "preset_version": "preset_version",
    "preset_id": "preset_id",
    "preset_options": "preset_options",
    "response_format": "response_format",
    "require_quality": "require_quality",
    "is_trial": "is_trial",
    "sku": "sku",
    "streamed": "streamed",
    "question": "question",
    "context": "context",
    "model": "model",
    "stronger_model": "stronger_model",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "detail": "detail",
    "max_image_tokens": "max_image_tokens",
    "meta": "metadata",
    "body": "body",
    "cache_seconds": "cache_seconds",
    "reuses_near": "reuses_near",
    "fingerprint": "fingerprint",
}
"""Attributes of an analysis that a client decides on, and their columns."""
OF_IMAGE = ("file_id", "url", "view")
Source = tuple[str | None, str | None, str | None]
"""Where an image comes from, the id of a file or the URL that it is to be fetched from, and what it shows."""


def _adding() -> Any:
    new = func.unnest(*(_many(f"file_{name}", FILES.c[name]) for name in OF_FILE)).table_valued(*OF_FILE)
    files = insert(FILES).from_select(OF_FILE, select(new.render_derived()))
    given: dict[str, Any] = {
        column: bindparam(f"analysis_{name}", type_=ANALYSES.c[column].type)
        for name, column in OF_ANALYSIS.items()
    }
    deadline = func.now() + bindparam("for_at_most", type_=Interval)
    analysis = insert(ANALYSES).values(given | {"deadline_at": deadline, "rung_at": func.now()})
    places = (_many(f"image_{name}", IMAGES.c[name]) for name in OF_IMAGE)
    image = func.unnest(*places).table_valued(*OF_IMAGE, with_ordinality="place").render_derived()
    images = insert(IMAGES).from_select(
        ["analysis_id", "position", *OF_IMAGE],
        select(given["id"], image.c.place - 1, *(image.c[name] for name in OF_IMAGE)),
    )
    return images.add_cte(files.cte("new_files"), analysis.cte("new_analysis"))


def _many(name: str, column: Any) -> Any:
    return bindparam(name, type_=ARRAY(Text if isinstance(column.type, String) else column.type))


ADD = _adding()
ADD_ALONE = Prepared(ADD)


def add(
    session: Session,
    analysis: Analysis,
    deadline: timedelta,
    sources: Sequence[Source],
    new: Sequence[File],
) -> None:
    """Store an analysis of images from these sources, in their order, with the files that are new.

    It waits, for at most so long, and counts as rung for.
    """
    session.execute(ADD, _values(analysis, deadline, sources, new))


def add_alone(
    driver: Driver, analysis: Analysis, deadline: timedelta, sources: Sequence[Source], new: Sequence[File]
) -> None:
    """The same without a transaction: it is there when this returns."""
    ADD_ALONE.do(driver, _values(analysis, deadline, sources, new))


def _values(
    analysis: Analysis, deadline: timedelta, sources: Sequence[Source], new: Sequence[File]
) -> dict[str, Any]:
    return (
        {f"analysis_{name}": getattr(analysis, name) for name in OF_ANALYSIS}
        | {f"file_{name}": [getattr(file, name) for file in new] for name in OF_FILE}
        | {f"image_{name}": [source[place] for source in sources] for place, name in enumerate(OF_IMAGE)}
        | {"for_at_most": deadline}
    )
