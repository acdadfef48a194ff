"""The brands that an account knows: put one by one or as CSV, and matched against what models say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from core import brands as names
from core.brands import Known, Registry
from core.desk import Desk
from core.errors import InvalidRequest
from core.ids import new_id
from core.models import Brand
from core.services import idempotency, sheets
from core.services.idempotency import Once
from core.store import brands
from core.store.brands import Stamp

MOST_BRANDS = 50_000
MOST_ALIASES = 50
LONGEST_NAME = 200
SHORT_LIST = 50
"""Names that a prompt has room for."""
MOST_REGISTRIES = 20
"""Kept by a process: some thousand brands are a few megabytes."""


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: Stamp
    registry: Registry
    first: tuple[str, ...]


_kept: dict[str, _Kept] = {}
_lock = Lock()


def put(desk: Desk, account_id: str, name: str, aliases: Sequence[str], once: Once | None = None) -> Brand:
    """Store a brand, or change the one that has this name but for spelling.

    What `once` has done before is not done again. Raises InvalidRequest, IdempotencyMismatch; NotFound where
    that is gone.
    """
    row = _row(account_id, name, aliases)
    with desk.database.transaction() as session:
        if not idempotency.is_done(desk, session, once):
            _demand_room(brands.stamp(session, account_id)[0] + 1)
            brands.put(session, [row])
        return brands.by_key(session, account_id, row["key"])


def import_csv(desk: Desk, account_id: str, content: bytes, once: Once | None = None) -> int:
    """Store the brands of a CSV with the columns name and aliases (separated by ;), all or none; how many.

    What `once` has done before is not done again. Raises InvalidRequest that tells every bad line,
    IdempotencyMismatch.
    """
    sheet, rows = sheets.read(content, ("name",), ("aliases",)), {}
    first: dict[str, int] = {}
    for line, cells in sheet.rows:
        try:
            row = _row(account_id, cells["name"], _listed(cells.get("aliases", "")))
        except InvalidRequest as error:
            sheet.blame(line, str(error.details["field"]), error.message)
            continue
        if row["key"] in first:
            sheet.blame(line, "name", f"But for spelling it is the brand of line {first[row['key']]}.")
        first.setdefault(row["key"], line)
        rows[row["key"]] = row
    sheet.raise_any()
    with desk.database.transaction() as session:
        if not idempotency.is_done(desk, session, once):
            _demand_room(brands.stamp(session, account_id)[0] + len(rows))
            brands.put(session, list(rows.values()))
    return len(rows)


def page(desk: Desk, account_id: str, *, after: str | None, limit: int) -> tuple[list[Brand], bool]:
    """A page of the account's brands, the oldest first, and whether there are more."""
    with desk.database.transaction() as session:
        rows = brands.page(session, account_id, after=after, limit=limit + 1)
    return rows[:limit], len(rows) > limit


def delete(desk: Desk, account_id: str, brand_id: str) -> None:
    """Forget a brand. Raises NotFound."""
    with desk.database.transaction() as session:
        brands.remove(session, account_id, brand_id)


def registry(desk: Desk, account_id: str) -> Registry:
    """All of an account's brands, to be matched; read anew only when one has changed."""
    return _current(desk, account_id).registry


def first_names(desk: Desk, account_id: str) -> Sequence[str]:
    """The names of the account's first brands: what a prompt has room for."""
    return _current(desk, account_id).first


def _current(desk: Desk, account_id: str) -> _Kept:
    with desk.database.transaction() as session:
        stamp = brands.stamp(session, account_id)
        kept = _kept.get(account_id)
        if kept is not None and kept.stamp == stamp:
            return kept
        rows = brands.everything(session, account_id)
    known = [Known(brand_id, name, tuple(aliases)) for brand_id, name, aliases in rows]
    fresh = _Kept(stamp, Registry(known), tuple(brand.name for brand in known[:SHORT_LIST]))
    with _lock:
        _kept.pop(account_id, None)
        _kept[account_id] = fresh
        while len(_kept) > MOST_REGISTRIES:
            _kept.pop(next(iter(_kept)))
    return fresh


def _row(account_id: str, name: str, aliases: Iterable[str]) -> dict[str, Any]:
    clean = [_clean(name, "name"), *(_clean(alias, "aliases") for alias in aliases)]
    if len(clean) > MOST_ALIASES + 1:
        raise InvalidRequest(f"A brand has at most {MOST_ALIASES} aliases.", details={"field": "aliases"})
    others: Mapping[str, None] = dict.fromkeys(clean[1:])
    key = names.key(clean[0])
    return {
        "id": new_id("brand"),
        "account_id": account_id,
        "name": clean[0],
        "key": key,
        "aliases": [alias for alias in others if alias != clean[0]],
    }


def _listed(cell: str) -> list[str]:
    return [part for part in cell.split(";") if part.strip()]


def _clean(name: str, field: str) -> str:
    text = " ".join(name.split())
    if not 0 < len(text) <= LONGEST_NAME or not text.isprintable() or not names.key(text):
        raise InvalidRequest(
            f"A brand's name has 1 to {LONGEST_NAME} characters, a letter or digit among them that is of no"
            f" company form: not {name[:40]!r}.",
            details={"field": field},
        )
    return text


def _demand_room(count: int) -> None:
    if count > MOST_BRANDS:
        raise InvalidRequest(
            f"An account has at most {MOST_BRANDS:,} brands.", details={"limit": MOST_BRANDS}
        )
