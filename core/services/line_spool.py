"""Lines of a batch on their way into the database, in a temporary file that is read once for each table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from core.errors import Unavailable
from core.ids import new_id
from core.media import HEAD, OCTETS, ImageKind, recognise
from core.models import Batch
from core.models.file import Purpose
from core.services.analyses import Image
from core.services.files import Upload, safe_name
from core.services.image_urls import ImageUrl
from core.states import AnalysisState
from core.store.batch_items import LINE_COLUMNS

RETRY_AFTER = 5.0


class LineSpool:
    """Takes the lines of one batch one by one and gives rows back, both with flat memory."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self.count = 0

    def add(self, custom_id: str, columns: Mapping[str, Any], images: list[Image]) -> None:
        """Take a line as the columns of its analysis; images that came inside it become files.

        Raises Unavailable where the disk is full.
        """
        line = json.dumps([new_id("an"), custom_id, columns, [_source(image) for image in images]])
        try:
            self._content.write(line.encode() + b"\n")
        except OSError as error:
            raise Unavailable("There is no room for this batch just now.", retry_after=RETRY_AFTER) from error
        self.count += 1

    def files(self, account_id: str) -> Iterator[tuple[Any, ...]]:
        """Rows of the files to be made (FILE_COLUMNS)."""
        for _, _, _, sources in self._lines():
            for file_id, _, *about in sources:
                if about:
                    yield file_id, account_id, *about, Purpose.ANALYSIS

    def items(self, batch: Batch) -> Iterator[tuple[Any, ...]]:
        """Rows of the analyses (LINE_COLUMNS)."""
        shared = {
            "account_id": batch.account_id,
            "key_id": batch.key_id,
            "request_id": batch.request_id,
            "batch_id": batch.id,
            "deadline_at": batch.deadline_at,
            "state": AnalysisState.QUEUED,
        }
        for position, (analysis_id, custom_id, columns, _) in enumerate(self._lines()):
            own = {"id": analysis_id, "position": position, "custom_id": custom_id}
            as_json = {"metadata": json.dumps(columns["meta"]), "body": json.dumps(columns["body"])}
            row = shared | columns | own | as_json
            yield tuple(row[name] for name in LINE_COLUMNS)

    def images(self) -> Iterator[tuple[str, int, str | None, str | None, None]]:
        """Rows of the images of the analyses (IMAGE_COLUMNS); chats name no views."""
        for analysis_id, _, _, sources in self._lines():
            for position, (file_id, url, *_) in enumerate(sources):
                yield analysis_id, position, file_id, url, None

    def _lines(self) -> Iterator[Any]:
        self._content.seek(0)
        return (json.loads(line) for line in self._content)


def _source(image: Image) -> list[Any]:
    """A file's id, or a URL; behind them, what is to be known of a file before it is one.

    That is digest, byte_size, media_type and name.
    """
    if isinstance(image, ImageUrl):
        return [None, image.url]
    return [image, None] if isinstance(image, str) else _new_file(image)


def _new_file(upload: Upload) -> list[Any]:
    upload.content.seek(0)
    looks = recognise(upload.content.read(HEAD))
    media_type = looks.media_type if isinstance(looks, ImageKind) else OCTETS
    return [new_id("file"), None, upload.digest, upload.byte_size, media_type, safe_name(upload.name)]
