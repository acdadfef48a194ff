"""A batch from what is on this machine to its acceptance."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import wording
from cli.batch.client import Batch, BatchClient
from cli.batch.sources import Source, Survey, survey, write
from cli.batch.uploading import Uploaded, Uploading
from cli.connection import Refused
from cli.failure import Failure, Interrupted, Unreachable
from cli.local_file import LocalFile
from cli.multipart import StoppedSending
from cli.terminal import Screen

Order = Mapping[str, Any]
"""All of a batch but its items, as the API takes it."""


class Submitting:
    """Submits batches; tells everything that is wrong with them before anything is created."""

    def __init__(self, client: BatchClient, screen: Screen, *, parallel: int, skip_bad: bool) -> None:
        self._client = client
        self._screen = screen
        self._parallel = parallel
        self._skip_bad = skip_bad

    def archive(self, path: Path, order: Order) -> Batch:
        """Submit a ZIP archive as it is. Raises Failure."""
        self._client.rehearse(order)
        return self._submit(_local(path, path.name), order)

    def source(self, source: Source, order: Order) -> Batch:
        """Upload the images of a source, then submit its items. Raises Failure."""
        found = survey(source)
        self._tell(found.problems)
        self._client.rehearse(order)
        uploaded = self._upload(found)
        self._tell([f"{name}: {why}" for name, why in uploaded.refused.items()])
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n") as file:
            items = write(source, uploaded.ids, file)
            if not items:
                raise Failure("Nothing is left to submit.")
            if items < found.items:
                what = "row" if source.is_grouped else "item"
                self._screen.note(f"{wording.count(found.items - items, what)} left out.")
            file.flush()
            return self._submit(_local(Path(file.name), source.input_name), order)

    def _upload(self, found: Survey) -> Uploaded:
        bar = self._screen.bar("Uploading", len(found.files), self._client.interrupt, beside_rows=False)
        with bar as advance:
            uploaded = Uploading(self._client).run(found.files, self._parallel, advance)
        if self._client.interrupt.asked:
            raise Interrupted("Stopped before anything was submitted.")
        return uploaded

    def _tell(self, problems: list[str]) -> None:
        """Tell every problem. Raises Failure, unless bad items are to be left out."""
        for problem in problems:
            self._screen.note(problem)
        if problems and not self._skip_bad:
            raise Failure(
                f"{wording.count(len(problems), 'problem')}; nothing was submitted. "
                "--skip-bad leaves out what is bad."
            )

    def _submit(self, file: LocalFile, order: Order) -> Batch:
        key = f"cli-{uuid.uuid4().hex}"
        input_id = self._sent(file)
        try:
            return self._client.submit({**order, "input_file_id": input_id}, key)
        except Refused as refusal:
            raise self._told(refusal) from refusal
        except Unreachable as problem:
            look = "`vitrine batch list` shows whether it was submitted"
            raise Failure(f"{problem.message} {look} (request {key}).") from problem

    def _sent(self, file: LocalFile) -> str:
        with contextlib.suppress(StoppedSending):
            input_id = self._client.upload(file, "batch")
            if not self._client.interrupt.asked:
                return input_id
        raise Interrupted("Stopped before anything was submitted.")

    def _told(self, refusal: Refused) -> Failure:
        """What is left to say once every item that the server refuses is told with its line."""
        errors = refusal.details.get("errors", [])
        for error in errors:
            name = f" ({error['custom_id']})" if error["custom_id"] else ""
            field = "" if error["field"] == "line" else f"{error['field']}: "
            self._screen.note(f"line {error['line']}{name}: {field}{error['error']}")
        if not errors:
            return refusal
        count = wording.count(refusal.details.get("error_count", len(errors)), "problem")
        return Failure(f"{count}; nothing was submitted.")


def _local(path: Path, name: str) -> LocalFile:
    with contextlib.suppress(OSError):
        return LocalFile(str(path), name, path.stat().st_size, path)
    raise Failure(f"{path} cannot be read.")
