"""What a key or a batch may spend."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Date, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Id, one_of

Quantity = Numeric(24, 10)


class BudgetKind(StrEnum):
    """What is limited, and for how long."""

    MONTHLY_USD = "monthly_usd"
    """Of a key, in a month of the calendar, in UTC."""
    DAILY_TOKENS = "daily_tokens"
    """Of a key, in a day, in UTC."""
    MAX_COST = "max_cost"
    """Of a batch, as long as there is one, in USD."""


class Budget(Base):
    """A limit, and what is used of it: spent, and set aside for calls on their way.

    Who has no row has no limit. The row begins anew with the first call of another period.
    """

    __tablename__ = "budgets"
    __table_args__ = (one_of(BudgetKind, "kind"),)

    owner_id: Mapped[Id] = mapped_column(primary_key=True)
    """A key or a batch, hence no foreign key."""
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    most: Mapped[Decimal] = mapped_column(Quantity)
    used: Mapped[Decimal] = mapped_column(Quantity, server_default="0")
    period: Mapped[date] = mapped_column(Date, server_default="0001-01-01")
    """The first day of the period that `used` is of."""
    told_most: Mapped[Decimal | None] = mapped_column(Quantity)
    told_period: Mapped[date | None] = mapped_column(Date)
    """The limit and the period in which webhooks were told that it is used up: once for each."""
