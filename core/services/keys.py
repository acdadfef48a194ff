"""API keys: made once, shown once, recognised by their hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from config import RATE
from core.desk import Desk
from core.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied
from core.ids import new_id
from core.models import ApiKey, Budget, BudgetKind
from core.store import accounts, budgets

BRAND = "vt_"
SECRET_BYTES = 32
PREFIX_LENGTH = 12
"""Characters of the key that are kept readable, to find it by and to tell keys apart."""
NO_BUDGETS: Mapping[BudgetKind, Decimal] = MappingProxyType({})


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is to be changed of a key's limits, and nothing else."""

    rate: Mapping[str, Any]
    """Any of `rate_limit` and `unlimited`."""
    spending: Mapping[BudgetKind, Decimal | None]
    """None removes a budget."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key together with its secret, which nobody can see again."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.key.prefix}…)"


def create(
    desk: Desk,
    *,
    account: str,
    name: str,
    scopes: frozenset[Scope] = frozenset(Scope),
    unlimited: bool = False,
    rate_limit: str | None = None,
    valid_for: timedelta | None = None,
    spending: Mapping[BudgetKind, Decimal] = NO_BUDGETS,
) -> NewKey:
    """Make a key of the account by that name, which is made too where it is new. Raises InvalidRequest.

    `rate_limit` is of submissions, such as 200/minute; without it the server's holds, unless `unlimited`.
    """
    for what, text in (("account", account), ("name", name)):
        if not text.strip() or len(text) > 200 or not text.isprintable():
            raise InvalidRequest(f"The {what} needs 1 to 200 printable characters.")
    _check_rate(rate_limit)
    secret = BRAND + secrets.token_urlsafe(SECRET_BYTES)
    with desk.database.transaction() as session:
        key = ApiKey(
            id=new_id("key"),
            account_id=accounts.ensure(session, account),
            name=name,
            prefix=secret[:PREFIX_LENGTH],
            digest=_digest(secret),
            scopes=sorted(scopes),
            unlimited=unlimited,
            rate_limit=rate_limit,
            expires_at=datetime.now(UTC) + valid_for if valid_for else None,
            budgets=[Budget(kind=kind, most=most) for kind, most in spending.items()],
        )
        accounts.add_key(session, key)
    return NewKey(key, secret)


def authenticate(desk: Desk, secret: str) -> ApiKey:
    """The key that has this secret. Raises AuthenticationFailed, the same for every reason."""
    if not secret:
        raise AuthenticationFailed
    if not secret.startswith(BRAND) or not secret.isascii():
        raise AuthenticationFailed("This is not a Vitrine API key: they begin with 'vt_'.")
    with desk.database.driver() as driver:
        key = accounts.usable_key(driver, secret[:PREFIX_LENGTH])
    if key is None or not hmac.compare_digest(key.digest, _digest(secret)):
        raise AuthenticationFailed("This API key is unknown, revoked or expired.")
    return key


def demand(key: ApiKey, scope: Scope) -> None:
    """Raises PermissionDenied unless the key has the scope."""
    if scope not in key.scopes:
        raise PermissionDenied(
            f"This API key has no '{scope}' scope; it has: {', '.join(key.scopes) or 'none'}."
        )


def listing(desk: Desk, account: str | None = None) -> list[ApiKey]:
    """The keys of one account or of all, the newest last."""
    with desk.database.transaction() as session:
        return accounts.keys(session, account)


def limit(desk: Desk, name: str, limits: Limits) -> ApiKey:
    """Change the limits of a key, by its id or its prefix, from now on. Raises NotFound, InvalidRequest."""
    _check_rate(limits.rate.get("rate_limit"))
    with desk.database.transaction() as session:
        key = accounts.change(session, name, **limits.rate)
        if key is None:
            raise NotFound(f"There is no key {name!r} that works; 'vitrine keys list' shows them.")
        budgets.change(session, key.account_id, key.id, limits.spending)
    return key


def revoke(desk: Desk, name: str) -> ApiKey:
    """Revoke a key by its id or its prefix; it stops working at once. Raises NotFound."""
    with desk.database.transaction() as session:
        key = accounts.revoke(session, name)
    if key is None:
        raise NotFound(f"There is no key {name!r} that could be revoked; 'vitrine keys list' shows them.")
    return key


def _check_rate(rate_limit: str | None) -> None:
    if rate_limit is not None and not RATE.fullmatch(rate_limit):
        raise InvalidRequest("A rate limit is a number of submissions in a time, such as 200/minute.")


def _digest(secret: str) -> bytes:
    """SHA-256 is enough: the secret has 256 random bits, so there is nothing to guess slowly."""
    return hashlib.sha256(secret.encode()).digest()
