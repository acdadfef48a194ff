"""What URLs led to, so that their hosts can say that nothing has changed."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id


class Fetch(Base):
    """The file that an account's URL led to last; it goes with that file."""

    __tablename__ = "fetches"
    __table_args__ = (Index(None, "file_id"),)

    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    url_digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of the URL, which may be a secret."""
    file_id: Mapped[Id] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"))
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)
    fetched_at: Mapped[CreatedAt]
