"""Presets of accounts' own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from core.models import Account, OwnPreset

SEEN = OwnPreset.deleted_at.is_(None)


def add(session: Session, preset_id: str, account_id: str, name: str, pack: Mapping[str, Any]) -> OwnPreset:
    """Store a pack as the next version of a preset; also after it was deleted, for numbers stay taken."""
    # Two that come at once would take the same number.
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update())
    before = select(func.max(OwnPreset.version)).where(_named(account_id, name))
    row = OwnPreset(
        id=preset_id,
        account_id=account_id,
        name=name,
        version=(session.scalar(before) or 0) + 1,
        pack=dict(pack),
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def latest(session: Session, account_id: str, name: str) -> OwnPreset | None:
    """The newest version of a preset that is there."""
    query = select(OwnPreset).where(_named(account_id, name), SEEN)
    return session.scalars(query.order_by(OwnPreset.version.desc()).limit(1)).one_or_none()


def one(session: Session, preset_id: str) -> OwnPreset:
    """The very version that an analysis names, deleted or not."""
    return session.scalars(select(OwnPreset).where(OwnPreset.id == preset_id)).one()


def versions(session: Session, account_id: str, name: str) -> list[OwnPreset]:
    """Every version of a preset that is there, the newest first."""
    query = select(OwnPreset).where(_named(account_id, name), SEEN)
    return list(session.scalars(query.order_by(OwnPreset.version.desc())))


def newest(session: Session, account_id: str) -> list[OwnPreset]:
    """The newest version of each of the account's presets, by name."""
    query = select(OwnPreset).where(OwnPreset.account_id == account_id, SEEN)
    query = query.ext(distinct_on(OwnPreset.name))
    return list(session.scalars(query.order_by(OwnPreset.name, OwnPreset.version.desc())))


def count(session: Session, account_id: str) -> int:
    """How many versions of presets the account has made, deleted ones too."""
    query = select(func.count()).select_from(OwnPreset).where(OwnPreset.account_id == account_id)
    return session.scalar(query) or 0


def remove(session: Session, account_id: str, name: str) -> bool:
    """Let every version be gone for new analyses; whether there was one."""
    gone = update(OwnPreset).where(_named(account_id, name), SEEN).values(deleted_at=func.now())
    return bool(session.scalars(gone.returning(OwnPreset.id)).all())


def _named(account_id: str, name: str) -> Any:
    return (OwnPreset.account_id == account_id) & (OwnPreset.name == name)
