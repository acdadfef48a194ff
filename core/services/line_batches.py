"""Batches of the OpenAI API: an uploaded file, each line of which is a request.

The lines are read once and checked while they stream by; what they come to waits in a temporary file for the
one transaction that stores all of it. So memory stays flat, and no transaction waits for the blob store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from tempfile import TemporaryFile

from sqlalchemy import func
from sqlalchemy.orm import Session

from core import metrics
from core.db import after_commit
from core.desk import Desk
from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.media import ZIP
from core.models import ApiKey, Batch, File
from core.models.file import IMAGES, Purpose
from core.services import batches as native
from core.services import budgets, chat, idempotency, inputs
from core.services.batches import Order, Standing
from core.services.chat import ReadImage
from core.services.files import Upload, keep_bytes, unusable
from core.services.idempotency import Once
from core.services.line_spool import LineSpool
from core.services.lines import LONGEST_LINE, BadLine, Lines
from core.states import BatchState
from core.store import batch_items, batches, files

ENDPOINT = "/v1/chat/completions"
WINDOW = timedelta(hours=24)
LARGEST_INPUT = 200_000_000
TOGETHER = 64
"""Images that are put into the blob store at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOrder:
    """What a batch is made from, and how it is kept."""

    endpoint: str
    input_file: File
    metadata: Mapping[str, str]
    output_lifetime: timedelta | None


def submit(
    desk: Desk,
    key: ApiKey,
    order: LineOrder,
    read_image: ReadImage,
    request_id: str,
    once: Once | None = None,
) -> Standing:
    """Accept a batch whose lines are all good; one with bad lines is stored as failed, with its errors.

    What `once` has made before is given instead. Raises Conflict, IdempotencyMismatch, InvalidRequest,
    NotFound or Unavailable; nothing is stored then.
    """
    _demand_input(order.input_file)
    batch_id, lines = new_id("batch"), Lines(desk, key.account_id, order.endpoint, read_image)
    with TemporaryFile() as content:
        spool = LineSpool(content)
        rows = inputs.lines(desk, order.input_file, LONGEST_LINE)
        models = _accept(desk, key.account_id, lines, rows, spool)
        budgets.demand_prices(desk, key, models, max_cost=None)
        with desk.database.transaction() as session:
            if earlier := idempotency.earlier(desk, session, once, batch_id):
                return native.standing(session, key.account_id, earlier)
            _store(session, _row(session, batch_id, key, order, request_id, lines, spool.count), spool)
            after_commit(session, metrics.BATCHES.inc)
            return native.standing(session, key.account_id, batch_id)


def get(desk: Desk, account_id: str, batch_id: str) -> Standing:
    """One batch of lines as it stands. Raises NotFound, also for one that the native API made."""
    found = native.get(desk, account_id, batch_id)
    if found.batch.endpoint is None:
        raise NotFound(f"There is no batch {batch_id!r} of lines.")
    return found


def cancel(desk: Desk, account_id: str, batch_id: str) -> Standing:
    """Ask nothing new from now on. Raises NotFound, WrongState."""
    get(desk, account_id, batch_id)
    return native.cancel(desk, account_id, batch_id)


def _demand_input(file: File) -> None:
    """Raises InvalidRequest for a file that is no input of a batch."""
    if file.purpose != Purpose.BATCH or file.media_type == ZIP:
        raise InvalidRequest(
            "The input of a batch is a JSON Lines file that was uploaded with purpose 'batch'.",
            details={"field": "input_file_id"},
        )
    if file.byte_size > LARGEST_INPUT:
        raise InvalidRequest(
            f"The input of a batch has at most {LARGEST_INPUT:,} bytes.", details={"field": "input_file_id"}
        )


@dataclass(slots=True)
class _Pending:
    """What lines need that has not been seen to yet."""

    uploads: list[Upload] = field(default_factory=list)
    file_ids: dict[str, tuple[int, str]] = field(default_factory=dict)
    """With the line that names each first, and where."""

    def __len__(self) -> int:
        return len(self.uploads) + len(self.file_ids)


def _accept(
    desk: Desk, account_id: str, lines: Lines, rows: Iterable[tuple[int, bytes]], spool: LineSpool
) -> set[str]:
    """Check every line; their models. The bytes of images that came inside are kept when this returns."""
    pending, models = _Pending(), set()
    for line in lines.read(rows):
        models.add(line.request.model)
        if not lines.error_count:
            spool.add(line.custom_id, chat.columns(desk, line.request), list(line.request.images))
            pending.uploads += [image for image in line.request.images if isinstance(image, Upload)]
        for image, place in zip(line.request.images, line.request.places, strict=True):
            if isinstance(image, str):
                pending.file_ids.setdefault(image, (line.number, place))
        if len(pending) >= TOGETHER:
            _see_to(desk, account_id, lines, pending)
            pending = _Pending()
    _see_to(desk, account_id, lines, pending)
    return models


def _see_to(desk: Desk, account_id: str, lines: Lines, pending: _Pending) -> None:
    keep_bytes(desk, pending.uploads)
    if not pending.file_ids:
        return
    with desk.database.transaction() as session:
        purposes = files.purposes(session, account_id, pending.file_ids)
    for file_id, (number, place) in pending.file_ids.items():
        purpose = purposes.get(file_id)
        if purpose not in IMAGES:
            error = unusable(file_id, purpose, {})
            code = "file_not_found" if purpose is None else error.code
            lines.note(number, BadLine(code, error.message, place))


def _row(
    session: Session,
    batch_id: str,
    key: ApiKey,
    order: LineOrder,
    request_id: str,
    lines: Lines,
    total: int,
) -> Batch:
    """The batch, running or, where lines are bad, failed."""
    how = Order(metadata=order.metadata, window=WINDOW, priority="normal", pilot=None)
    batch = native.make(session, batch_id, key, 0 if lines.error_count else total, how, request_id)
    batch.endpoint = order.endpoint
    batch.input_file_id = order.input_file.id
    batch.output_lifetime = order.output_lifetime
    if lines.error_count:
        batch.state = BatchState.FAILED
        batch.reason = f"{lines.error_count:,} of its lines cannot be used"
        batch.errors = lines.told()
        batch.finished_at = func.now()
    return batch


def _store(session: Session, batch: Batch, spool: LineSpool) -> None:
    batches.add(session, batch)
    if batch.state != BatchState.FAILED:
        files.copy_new(session, spool.files(batch.account_id))
        batch_items.copy_lines(session, spool.items(batch), spool.images())
        after_commit(session, lambda: metrics.SUBMISSIONS.labels("item").inc(spool.count))
