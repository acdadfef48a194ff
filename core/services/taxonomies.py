"""The account's own trees of categories, into which products are sorted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

from sqlalchemy.orm import Session

from core.desk import Desk
from core.errors import Conflict, InvalidRequest, NotFound, quoted
from core.models import Taxonomy
from core.presets import Preset
from core.services import idempotency, sheets
from core.services.idempotency import Once
from core.services.sheets import Sheet
from core.store import taxonomies
from core.taxonomies import MOST_NODES, Node, Tree, problems

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
MOST_TAXONOMIES = 50
MOST_KEPT = 20
"""By a process: the largest take a few megabytes."""

_kept: dict[tuple[str, str], tuple[datetime, Tree]] = {}
_lock = Lock()


def put(desk: Desk, account_id: str, name: str, nodes: Sequence[Node], once: Once | None = None) -> Tree:
    """Store a tree, in the place of one of that name; what `once` has stored before is given as it is now.

    Raises InvalidRequest that tells every bad node for what is none, Conflict, IdempotencyMismatch; NotFound
    where that is gone.
    """
    return _put(desk, account_id, name, list(enumerate(nodes, 1)), Sheet(), once)


def import_csv(desk: Desk, account_id: str, name: str, content: bytes, once: Once | None = None) -> Tree:
    """Store the tree of a CSV with the columns id, label and parent. Raises as `put` does."""
    sheet = sheets.read(content, ("id", "label", "parent"))
    numbered = [
        (line, Node(cells["id"].strip(), cells["label"].strip(), cells["parent"].strip() or None))
        for line, cells in sheet.rows
    ]
    return _put(desk, account_id, name, numbered, sheet, once)


def _put(
    desk: Desk,
    account_id: str,
    name: str,
    numbered: Sequence[tuple[int, Node]],
    sheet: Sheet,
    once: Once | None,
) -> Tree:
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            "name: use 1 to 64 small letters, digits, _ and -, a letter or digit first.",
            details={"field": "name"},
        )
    _demand_tree(numbered, sheet)
    tree = Tree(node for _, node in numbered)
    with desk.database.transaction() as session:
        if idempotency.is_done(desk, session, once):
            return Tree(Node(*node) for node in _found(session, account_id, name).nodes)
        others = {row.name for row in taxonomies.listing(session, account_id)} - {name}
        if len(others) >= MOST_TAXONOMIES:
            raise Conflict(f"An account has at most {MOST_TAXONOMIES} taxonomies.")
        taxonomies.put(session, account_id, name, [[node.id, node.label, node.parent] for node in tree.nodes])
    return tree


def _demand_tree(numbered: Sequence[tuple[int, Node]], sheet: Sheet) -> None:
    """Raises InvalidRequest that tells what is wrong with each node, and was with the lines of its sheet."""
    is_whole = not sheet.problems
    if len(numbered) > MOST_NODES or (is_whole and not numbered):
        raise InvalidRequest(
            f"A taxonomy has 1 to {MOST_NODES:,} categories, not {len(numbered):,}.",
            details={"limit": MOST_NODES},
        )
    for line, field, why in problems(numbered, is_whole=is_whole):
        sheet.blame(line, field, why)
    sheet.raise_any()


def tree(desk: Desk, account_id: str, name: str) -> Tree:
    """A taxonomy of the account; read anew only when it has changed. Raises NotFound."""
    with desk.database.transaction() as session:
        stamp = taxonomies.changed_at(session, account_id, name) if NAME.fullmatch(name) else None
        kept = _kept.get((account_id, name))
        if kept is not None and kept[0] == stamp:
            return kept[1]
        found = _found(session, account_id, name)
        read, made = found.updated_at, Tree(Node(*node) for node in found.nodes)
    with _lock:
        _kept[account_id, name] = (read, made)
        while len(_kept) > MOST_KEPT:
            _kept.pop(next(iter(_kept)))
    return made


def demand(desk: Desk, account_id: str, preset: Preset, options: Mapping[str, Any] | None) -> None:
    """Raises InvalidRequest unless the taxonomy is there into which a preset sorts."""
    if preset.choices is None:
        return
    name = str((preset.defaults | dict(options or {})).get(preset.choices, ""))
    with desk.database.transaction() as session:
        if not NAME.fullmatch(name) or not taxonomies.changed_at(session, account_id, name):
            raise InvalidRequest(
                f"There is no taxonomy {quoted(name)}: name one of yours.",
                details={"field": f"preset_options.{preset.choices}"},
            )


def _found(session: Session, account_id: str, name: str) -> Taxonomy:
    found = taxonomies.find(session, account_id, name) if NAME.fullmatch(name) else None
    if found is None:
        raise NotFound(f"There is no taxonomy {quoted(name)}.", details={"field": "taxonomy"})
    return found


def listing(desk: Desk, account_id: str) -> list[Taxonomy]:
    """The account's taxonomies by name, without their nodes."""
    with desk.database.transaction() as session:
        return taxonomies.listing(session, account_id)


def delete(desk: Desk, account_id: str, name: str) -> None:
    """Forget a taxonomy. Raises NotFound."""
    if not NAME.fullmatch(name):
        raise NotFound(f"There is no taxonomy {quoted(name)}.")
    with desk.database.transaction() as session:
        taxonomies.remove(session, account_id, name)
