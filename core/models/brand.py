"""The brands that an account knows."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id


class Brand(Base):
    """A brand and its other names, in any script."""

    __tablename__ = "brands"
    __table_args__ = (
        Index("uq_brands_key", "account_id", "key", unique=True),
        Index(None, "account_id", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    key: Mapped[str] = mapped_column(String(800))
    """What is compared of the name: see core.brands."""
    aliases: Mapped[list[str]] = mapped_column(ARRAY(String(200)))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    @property
    def is_new(self) -> bool:
        """Whether it is as it was first put."""
        return self.updated_at == self.created_at
