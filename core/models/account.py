"""Who submits, and the keys this is proved with."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from core.models.base import Base, CreatedAt, Id, Timestamp
from core.models.budget import Budget


class Account(Base):
    """A shop; every row that a client can name belongs to one."""

    __tablename__ = "accounts"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[CreatedAt]


class ApiKey(Base):
    """A secret of an account; only its SHA-256 is kept, and the first characters to find it by."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "account_id"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16, collation="C"), unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    unlimited: Mapped[bool]
    rate_limit: Mapped[str | None] = mapped_column(String(40))
    """Submissions in a time, such as 200/minute; None takes the server's."""
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp | None]
    revoked_at: Mapped[Timestamp | None]

    account: Mapped[Account] = relationship(lazy="raise")
    budgets: Mapped[list[Budget]] = relationship(
        primaryjoin=lambda: ApiKey.id == foreign(Budget.owner_id), lazy="raise", order_by=lambda: Budget.kind
    )
