"""Which stored images are an account's own, and what is shown of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, CTE, ColumnElement, Float, Text, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from core.models import Analysis, AnalysisImage, File
from core.models.file import IMAGES


def count_images(session: Session, account_id: str, most: int) -> int:
    """How many images the account has, counted up to `most`."""
    some = select(File.id).where(*own_images(account_id)).limit(most).subquery()
    return session.execute(select(func.count()).select_from(some)).scalar_one()


def files_of(
    session: Session,
    account_id: str,
    distances: Mapping[str, int],
    *,
    behind: tuple[int, str] | None,
    limit: int,
    leaving_out: str,
) -> list[tuple[File, int]]:
    """The account's files of these digests with their distances, the nearest first, behind a place."""
    given = (
        func.unnest(literal(list(distances), ARRAY(Text)), literal(list(distances.values()), ARRAY(Float)))
        .table_valued("digest", "distance")
        .render_derived()
    )
    query = (
        select(File, given.c.distance)
        .join(given, given.c.digest == File.digest)
        .where(*own_images(account_id), File.id != leaving_out)
        .order_by(given.c.distance, File.id)
        .limit(limit)
    )
    if behind is not None:
        distance, file_id = behind
        query = query.where(
            or_(given.c.distance > distance, (given.c.distance == distance) & (File.id > file_id))
        )
    return [(file, int(distance)) for file, distance in session.execute(query)]


def shown(
    session: Session, account_id: str, digests: Sequence[str]
) -> dict[str, tuple[File, Analysis | None]]:
    """The account's newest file of each of these digests, and the newest analysis of any file of it."""
    newest = (
        select(File)
        .ext(distinct_on(File.digest))
        .where(*own_images(account_id), File.digest.in_(digests))
        .order_by(File.digest, File.id.desc())
    )
    looked_at = (
        select(File.digest, Analysis)
        .ext(distinct_on(File.digest))
        .join(AnalysisImage, AnalysisImage.file_id == File.id)
        .join(Analysis, Analysis.id == AnalysisImage.analysis_id)
        .where(*own_images(account_id), File.digest.in_(digests))
        .order_by(File.digest, Analysis.id.desc())
    )
    analyses = {row[0]: row[1] for row in session.execute(looked_at)}
    return {file.digest: (file, analyses.get(file.digest)) for file in session.scalars(newest)}


def are_images() -> tuple[ColumnElement[bool], ...]:
    """Files that are images, of anybody."""
    fresh = or_(File.expires_at.is_(None), File.expires_at > func.now())
    return File.purpose.in_(IMAGES), File.media_type.like("image/%"), fresh


def own_images(account_id: str) -> tuple[ColumnElement[bool], ...]:
    """Files of the account that are images."""
    return (File.account_id == account_id, *are_images())


def belongs_to(account_id: str, digest: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the account has an image of this digest."""
    return exists().where(*own_images(account_id), File.digest == digest)


def mine(account_id: str, metadata: Mapping[str, Any] | None) -> CTE:
    """The digests of the account's images, apart from what is asked about them."""
    query = select(File.digest).distinct().where(*own_images(account_id))
    if metadata:
        query = query.join(AnalysisImage, AnalysisImage.file_id == File.id).join(
            Analysis, Analysis.id == AnalysisImage.analysis_id
        )
        query = query.where(Analysis.account_id == account_id, Analysis.meta.contains(dict(metadata)))
    return query.cte("mine")
