"""What clients do with batches: submit, look, read results, pause, resume, cancel, retry, delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from core import metrics
from core.db import after_commit
from core.desk import Desk
from core.errors import BudgetExceeded, BudgetSetAside, InvalidRequest, WrongState
from core.ids import new_id
from core.media import HEAD, OCTETS, ImageKind, recognise
from core.models import Analysis, ApiKey, Batch, BudgetKind, File
from core.pricing import WorstCase
from core.services import budgets, idempotency, webhooks
from core.services.files import WITH_ANALYSIS, Upload, keep_bytes, named
from core.services.idempotency import Once
from core.services.image_urls import ImageUrl
from core.services.items import Item, uploads_of
from core.services.webhooks import Told
from core.states import FINAL, REOPENABLE, AnalysisState, BatchState
from core.store import batch_items, batches, deliveries, dispatch, files
from core.store import budgets as spending
from core.store.batch_items import Tally

PRIORITIES = {"high": 0, "normal": 1, "low": 2}
Caps = Mapping[BudgetKind, Decimal | None]
NO_CAPS: Caps = MappingProxyType({})
BY_CLIENT = "paused by the client"
SAMPLES = 3
"""Items that a pilot shows of itself."""
PAGE = 500
"""Items that are read at once while results stream: each page is a transaction of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How a batch is to be run."""

    metadata: Mapping[str, Any]
    window: timedelta
    priority: str
    pilot: int | None
    max_cost: Decimal | None = None
    """USD."""
    told: Told | None = None
    """Who is to be told how it goes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A batch, what it has come to, and when it should be done."""

    batch: Batch
    tally: Tally
    speed: float | None = None
    """Items per second of late."""
    max_cost: Decimal | None = None
    """USD."""
    samples: Sequence[Analysis] = ()
    """The first of its items that are final, while it waits behind its pilot."""

    @property
    def expected_at(self) -> datetime | None:
        """When it should be done if it goes on like this: by its deadline, when the rest expires."""
        left = self.batch.total - sum(self.tally.states.get(state, 0) for state in FINAL)
        if not left or not self.speed or self.batch.state != BatchState.RUNNING:
            return None
        now = datetime.now(UTC)
        return now + min(timedelta(seconds=left / self.speed), max(self.batch.deadline_at - now, timedelta()))


def submit(
    desk: Desk,
    key: ApiKey,
    items: Sequence[Item],
    order: Order,
    request_id: str,
    once: Once | None = None,
) -> Standing:
    """Accept a batch, all or nothing: bytes, files, batch and items are durable when this returns.

    Files that items name were found to be the account's as the items were read. What `once` has made before
    is given instead. Raises Conflict, IdempotencyMismatch, InvalidRequest or Unavailable.
    """
    webhooks.check(desk, order.told)
    budgets.demand_prices(desk, key, _models(items), order.max_cost)
    batch_id, uploads = new_id("batch"), uploads_of(items)
    keep_bytes(desk, uploads)
    fresh = {id(upload): _named(upload, key.account_id) for upload in uploads}
    with desk.database.transaction() as session:
        if earlier := idempotency.earlier(desk, session, once, batch_id):
            return standing(session, key.account_id, earlier)
        files.add(session, list(fresh.values()))
        batch = make(session, batch_id, key, len(items), order, request_id)
        batches.add(session, batch)
        webhooks.attach(session, key.account_id, batch_id, order.told)
        if order.max_cost is not None:
            spending.allow(session, batch_id, BudgetKind.MAX_COST, order.max_cost)
        ids = [new_id("an") for _ in items]
        batch_items.copy_items(
            session,
            _item_rows(batch, items, ids),
            _image_rows(items, ids, {upload: file.id for upload, file in fresh.items()}),
        )
        after_commit(session, lambda: metrics.SUBMISSIONS.labels("item").inc(len(ids)))
        after_commit(session, metrics.BATCHES.inc)
    return Standing(batch, Tally({"queued": len(items)}, {}), max_cost=order.max_cost)


def replayed(desk: Desk, once: Once | None) -> Standing | None:
    """The batch that a request made before, if it did, without a look at its input, which may be gone.

    Raises IdempotencyMismatch; NotFound where the batch is gone.
    """
    if once is None:
        return None
    with desk.database.transaction() as session:
        made = idempotency.replayed(desk, session, once)
        return None if made is None else standing(session, once.account_id, made)


def get(desk: Desk, account_id: str, batch_id: str) -> Standing:
    """One batch as it stands. Raises NotFound."""
    with desk.database.transaction() as session:
        return standing(session, account_id, batch_id)


def page(
    desk: Desk,
    account_id: str,
    *,
    before: str | None,
    limit: int,
    state: str | None = None,
    of_lines: bool = False,
) -> tuple[list[Standing], bool]:
    """A page of the account's batches, the newest first, and whether there are more; maybe of lines only."""
    with desk.database.transaction() as session:
        rows = batches.page(
            session, account_id, before=before, limit=limit + 1, state=state, of_lines=of_lines
        )
        ids = [row.id for row in rows[:limit]]
        tallies, caps = batch_items.tallies(session, ids), spending.caps(session, ids)
    standings = [Standing(row, tallies[row.id], max_cost=caps.get(row.id)) for row in rows[:limit]]
    return standings, len(rows) > limit


def results(
    desk: Desk,
    account_id: str,
    batch_id: str,
    *,
    after: int,
    limit: int,
    state: str | None,
    sku: str | None = None,
) -> tuple[list[Analysis], bool]:
    """A page of items in input order, behind a position, and whether there are more. Raises NotFound."""
    with desk.database.transaction() as session:
        batches.owned(session, account_id, batch_id)
        rows = batch_items.page(session, batch_id, after=after, limit=limit + 1, state=state, sku=sku)
    return rows[:limit], len(rows) > limit


def all_results(
    desk: Desk, account_id: str, batch_id: str, *, after: int = -1, state: str | None, sku: str | None = None
) -> Iterator[Analysis]:
    """Every item in input order behind a position, page by page.

    Flat in memory, and no transaction while a client reads.
    """
    more = True
    while more:
        rows, more = results(desk, account_id, batch_id, after=after, limit=PAGE, state=state, sku=sku)
        yield from rows
        after = rows[-1].position or 0 if rows else after


def finished_after(desk: Desk, batch_id: str, place: tuple[int, int], limit: int = PAGE) -> list[Analysis]:
    """Items that became final behind a place (transaction, position), in that order, none left out."""
    with desk.database.transaction() as session:
        return batch_items.finished_after(session, batch_id, xid=place[0], position=place[1], limit=limit)


def told_until(desk: Desk, batch_id: str) -> tuple[int, int]:
    """The place of the item that became final last, of those that `finished_after` reads."""
    with desk.database.transaction() as session:
        return batch_items.told_until(session, batch_id)


def has_more_to_tell(desk: Desk, batch_id: str, place: tuple[int, int]) -> bool:
    """Whether items are final behind that place, readable or not yet."""
    with desk.database.transaction() as session:
        return batch_items.is_behind(session, batch_id, xid=place[0], position=place[1])


def pause(desk: Desk, account_id: str, batch_id: str) -> Standing:
    """Ask nothing new until it is resumed; paused already is fine. Raises NotFound, WrongState."""
    with desk.database.transaction() as session:
        batch = batches.owned(session, account_id, batch_id, lock=True)
        if batch.state != BatchState.PAUSED:
            batches.move_one(session, batch_id, BatchState.PAUSED, reason=BY_CLIENT)
            dispatch.silence(session, batch_id)
            desk.events.tell_after_commit(session, batch_id, BatchState.PAUSED)
        if batch.needed_tokens is not None:
            batches.wait_no_longer(session, batch_id, BY_CLIENT)
    return get(desk, account_id, batch_id)


def resume(desk: Desk, account_id: str, batch_id: str, caps: Caps = NO_CAPS) -> Standing:
    """Go on, also after a pilot; running already is fine. Raises NotFound, WrongState.

    `caps` are new limits of what the batch may cost.
    """
    with desk.database.transaction() as session:
        batch = batches.owned(session, account_id, batch_id, lock=True)
        if batch.state not in {BatchState.RUNNING, BatchState.PAUSED}:
            raise WrongState(f"The batch is {batch.state}: it cannot be resumed.")
        spending.change(session, account_id, batch_id, caps)
        if batch.state == BatchState.PAUSED:
            # Where it waited for a budget, its pilot is not over.
            pilot_over = {"dispatch_limit": None} if batch.needed_tokens is None else {}
            batches.move_one(session, batch_id, BatchState.RUNNING, reason=None, **pilot_over)
            desk.events.tell_after_commit(session, batch_id, BatchState.RUNNING)
    return get(desk, account_id, batch_id)


def hold(desk: Desk, batch_id: str, worst: WorstCase, error: BudgetExceeded) -> None:
    """Dispatch nothing of a running batch until its budgets can pay such a call.

    It is paused too, unless some of what is set aside comes back soon.
    """
    needed = {"needed_cost": worst.cost, "needed_tokens": worst.tokens}
    with desk.database.transaction() as session:
        if isinstance(error, BudgetSetAside):
            batches.let_wait(session, batch_id, **needed)
        elif batches.move(session, BatchState.PAUSED, Batch.id == batch_id, reason=error.message, **needed):
            desk.events.tell_after_commit(session, batch_id, BatchState.PAUSED)
        dispatch.silence(session, batch_id)


def cancel(desk: Desk, account_id: str, batch_id: str) -> Standing:
    """Ask nothing new from now on; results that are there stay. Cancelling twice is fine.

    What waits is cancelled by the dispatcher, some thousand items at a time. Raises NotFound, WrongState.
    """
    with desk.database.transaction() as session:
        batch = batches.owned(session, account_id, batch_id, lock=True)
        if batch.state not in {BatchState.CANCELLING, BatchState.CANCELLED}:
            batches.move_one(
                session,
                batch_id,
                BatchState.CANCELLING,
                reason="cancelled by the client",
                cancelling_at=func.now(),
            )
            desk.events.tell_after_commit(session, batch_id, BatchState.CANCELLING)
    return get(desk, account_id, batch_id)


def retry(desk: Desk, account_id: str, batch_id: str, states: frozenset[AnalysisState]) -> Standing:
    """Run the items in these final states again, inside the same batch, with its window anew.

    Raises NotFound, InvalidRequest where none is in these states, WrongState while it is being cancelled.
    """
    with desk.database.transaction() as session:
        batch = batches.owned(session, account_id, batch_id, lock=True)
        if not states <= REOPENABLE:
            raise InvalidRequest(f"Only these can be tried again: {', '.join(sorted(REOPENABLE))}.")
        if batch.state == BatchState.CANCELLING:
            raise WrongState("The batch is cancelling: wait until it is cancelled, then try its items again.")
        if not batch_items.retry(session, batch_id, sorted(states)):
            raise InvalidRequest(f"No item of this batch is {' or '.join(sorted(states))}.")
        window = batch.deadline_at - batch.created_at
        values = {"reason": None, "cancelling_at": None, "deadline_at": func.now() + window}
        if batch.state in batches.FINISHED:
            tag = batches.start_tag(session, account_id)
            batches.move_one(
                session, batch_id, BatchState.RUNNING, dispatch_limit=None, start_tag=tag, **values
            )
        batch_items.extend(session, batch_id)
        desk.events.tell_after_commit(session, batch_id, BatchState.RUNNING)
    return get(desk, account_id, batch_id)


def delete(desk: Desk, account_id: str, batch_id: str) -> None:
    """Delete a final batch with its items and the files that came with it. Raises NotFound, WrongState."""
    with desk.database.transaction() as session:
        batches.owned(session, account_id, batch_id, lock=True)
        came_with_it = files.of_batch(session, batch_id, WITH_ANALYSIS)
        batches.remove(session, batch_id)
        deliveries.remove_of(session, [batch_id])
        spending.remove(session, batch_id)
        files.remove_unused(session, came_with_it, WITH_ANALYSIS)


def counts(standing: Standing) -> dict[str, int]:
    """Items by outcome; they always sum: `pending` is what is neither completed nor failed nor given up."""
    states = standing.tally.states
    found = {str(state): states.get(state, 0) for state in FINAL}
    return {"total": standing.batch.total, **found, "pending": standing.batch.total - sum(found.values())}


def waits_behind_pilot(batch: Batch) -> bool:
    """Whether a batch is paused, and was not resumed since its pilot."""
    return batch.dispatch_limit is not None and batch.state == BatchState.PAUSED


def standing(session: Session, account_id: str, batch_id: str) -> Standing:
    """A batch as it stands, in a transaction that is open. Raises NotFound."""
    batch = batches.owned(session, account_id, batch_id)
    tally = batch_items.tallies(session, [batch_id])[batch_id]
    speed = batch_items.speed(session, batch_id) if batch.finished_at is None else None
    samples = batch_items.first_finished(session, batch_id, SAMPLES) if waits_behind_pilot(batch) else ()
    return Standing(batch, tally, speed, spending.caps(session, [batch_id]).get(batch_id), samples)


def _named(upload: Upload, account_id: str) -> File:
    """The file of an upload, whatever it is: a bad image fails its own item, when it is decoded."""
    upload.content.seek(0)
    looks = recognise(upload.content.read(HEAD))
    media_type = looks.media_type if isinstance(looks, ImageKind) else OCTETS
    return named(upload, account_id=account_id, media_type=media_type, purpose=WITH_ANALYSIS)


def make(session: Session, batch_id: str, key: ApiKey, total: int, order: Order, request_id: str) -> Batch:
    """A batch that runs from when it is stored."""
    return Batch(
        id=batch_id,
        account_id=key.account_id,
        key_id=key.id,
        request_id=request_id,
        state=BatchState.RUNNING,
        meta=dict(order.metadata),
        total=total,
        priority=PRIORITIES[order.priority],
        start_tag=batches.start_tag(session, key.account_id),
        dispatch_limit=order.pilot if order.pilot and order.pilot < total else None,
        deadline_at=datetime.now(UTC) + order.window,
    )


def _models(items: Sequence[Item]) -> set[str]:
    return {model for item in items for model in (item.model, item.stronger_model) if model}


def _item_rows(batch: Batch, items: Sequence[Item], ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for position, (item, analysis_id) in enumerate(zip(items, ids, strict=True)):
        yield (
            analysis_id,
            batch.account_id,
            batch.key_id,
            batch.request_id,
            batch.id,
            position,
            item.custom_id,
            item.sku,
            "queued",
            item.preset.name,
            item.preset.version,
            item.preset.id,
            item.question,
            item.context,
            batch_items.as_json(item.preset_options),
            batch_items.as_json(item.response_format),
            item.require_quality,
            item.model,
            item.stronger_model,
            item.max_tokens,
            item.temperature,
            item.detail,
            item.max_image_tokens,
            batch_items.as_json(item.metadata),
            batch.deadline_at,
            item.cache_seconds,
            item.fingerprint,
            item.reuses_near,
        )


def _image_rows(
    items: Sequence[Item], ids: Sequence[str], fresh: Mapping[int, str]
) -> Iterator[tuple[Any, ...]]:
    for item, analysis_id in zip(items, ids, strict=True):
        for position, (image, view) in enumerate(zip(item.images, item.views, strict=True)):
            if isinstance(image, ImageUrl):
                yield analysis_id, position, None, image.url, view
            else:
                file_id = image if isinstance(image, str) else fresh[id(image)]
                yield analysis_id, position, file_id, None, view
