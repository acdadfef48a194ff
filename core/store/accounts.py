"""Accounts and their keys."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row
from sqlalchemy import ARRAY, String, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload, selectinload

from core.db import Driver
from core.ids import new_id
from core.models import Account, ApiKey, Base, Budget, BudgetKind
from core.prepared import Prepared

KEYS, BUDGETS = (Base.metadata.tables[name] for name in ("api_keys", "budgets"))
KINDS = select(BUDGETS.c.kind).where(BUDGETS.c.owner_id == KEYS.c.id).order_by(BUDGETS.c.kind)
USABLE = Prepared(
    select(KEYS, func.array(KINDS.scalar_subquery(), type_=ARRAY(String)).label("kinds")).where(
        KEYS.c.prefix == bindparam("this_prefix"),
        KEYS.c.revoked_at.is_(None),
        or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > func.now()),
    )
)
"""The one query that every request makes."""


def ensure(session: Session, name: str) -> str:
    """The id of the account by that name, made where it is new."""
    session.execute(insert(Account).values(id=new_id("acc"), name=name).on_conflict_do_nothing())
    return session.execute(select(Account.id).where(Account.name == name)).scalar_one()


def find(session: Session, name: str) -> str | None:
    """The id of the account by that name, if there is one."""
    return session.execute(select(Account.id).where(Account.name == name)).scalar_one_or_none()


def key(session: Session, key_id: str) -> ApiKey | None:
    """A key with its budgets, also one that is revoked: what it began is finished."""
    return session.execute(
        select(ApiKey).where(ApiKey.id == key_id).options(selectinload(ApiKey.budgets))
    ).scalar_one_or_none()


def newest_key(session: Session, account_id: str, scope: str) -> ApiKey | None:
    """The account's newest key that works and has this scope, with its budgets."""
    usable = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    return session.scalars(
        select(ApiKey)
        .where(ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None), usable)
        .where(ApiKey.scopes.contains([scope]))
        .order_by(ApiKey.id.desc())
        .options(selectinload(ApiKey.budgets))
        .limit(1)
    ).first()


def add_key(session: Session, key: ApiKey) -> ApiKey:
    """Store a key."""
    session.add(key)
    session.flush()
    return key


def usable_key(driver: Driver, prefix: str) -> ApiKey | None:
    """The key with that prefix, unless it is revoked or has expired; of its budgets only their kinds."""
    columns = USABLE.first(driver, {"this_prefix": prefix}, dict_row)
    if columns is None:
        return None
    budgets = [Budget(kind=BudgetKind(kind)) for kind in columns.pop("kinds")]
    return ApiKey(**columns, budgets=budgets)


def keys(session: Session, account: str | None) -> list[ApiKey]:
    """The keys of an account by name, or of all, newest last."""
    query = select(ApiKey).options(joinedload(ApiKey.account)).order_by(ApiKey.id)
    if account is not None:
        query = query.join(ApiKey.account).where(Account.name == account)
    return list(session.scalars(query))


def change(session: Session, name: str, **values: Any) -> ApiKey | None:
    """Change a key by its id or prefix, and hold it until the commit; None where there is none that works."""
    return session.execute(
        update(ApiKey)
        .where(or_(ApiKey.id == name, ApiKey.prefix == name), ApiKey.revoked_at.is_(None))
        .values({"name": ApiKey.name, **values})
        .returning(ApiKey)
    ).scalar_one_or_none()


def revoke(session: Session, name: str) -> ApiKey | None:
    """Revoke a key by its id or prefix; None where there is none that is not revoked already."""
    return change(session, name, revoked_at=func.now())
