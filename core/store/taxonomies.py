"""Taxonomies: put and read as wholes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, defer

from core.errors import NotFound
from core.models import Taxonomy


def put(session: Session, account_id: str, name: str, nodes: list[Any]) -> None:
    """Store a taxonomy in the place of one of that name."""
    new = insert(Taxonomy).values(account_id=account_id, name=name, nodes=nodes, node_count=len(nodes))
    values = {
        "nodes": new.excluded.nodes,
        "node_count": new.excluded.node_count,
        "updated_at": func.clock_timestamp(),
    }
    session.execute(new.on_conflict_do_update(index_elements=["account_id", "name"], set_=values))


def find(session: Session, account_id: str, name: str) -> Taxonomy | None:
    """A taxonomy of the account, or None."""
    named = (Taxonomy.account_id == account_id, Taxonomy.name == name)
    return session.scalars(select(Taxonomy).where(*named)).one_or_none()


def changed_at(session: Session, account_id: str, name: str) -> datetime | None:
    """When a taxonomy was put; None where there is none."""
    named = (Taxonomy.account_id == account_id, Taxonomy.name == name)
    return session.scalar(select(Taxonomy.updated_at).where(*named))


def listing(session: Session, account_id: str) -> list[Taxonomy]:
    """The account's taxonomies by name, without their nodes."""
    query = select(Taxonomy).where(Taxonomy.account_id == account_id).options(defer(Taxonomy.nodes))
    return list(session.scalars(query.order_by(Taxonomy.name)))


def remove(session: Session, account_id: str, name: str) -> None:
    """Remove a taxonomy. Raises NotFound."""
    named = (Taxonomy.account_id == account_id, Taxonomy.name == name)
    if session.scalar(delete(Taxonomy).where(*named).returning(Taxonomy.name)) is None:
        raise NotFound(f"There is no taxonomy {name!r}.")
