"""What an answer took, as columns; the same for one call in the books and for an analysis as a whole."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Numeric
from sqlalchemy.orm import Mapped, mapped_column

Money = Numeric(18, 10)
"""USD; ten places keep one token of the cheapest model exact."""


class UsageColumns:
    """Tokens by kind and cost in USD; None while nothing is known."""

    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    cached_tokens: Mapped[int | None]
    image_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    prompt_cost: Mapped[Decimal | None] = mapped_column(Money)
    completion_cost: Mapped[Decimal | None] = mapped_column(Money)
