"""Which of an account's images are nearest to one: by our own measures, or the endpoint's embeddings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from core.desk import Desk
from core.likeness import Features
from core.store import catalogue, embedding_indexes, embeddings, features
from core.store.embedding_indexes import Space
from core.store.embeddings import Vector
from core.store.features import Near

SMALL_CATALOGUE = 5_000
"""Images up to which every one is looked at: 10 ms. Beyond, an index is searched."""
EMBEDDING, MEASURES = "embedding", "measures"
"""What images are ranked by: the endpoint's embeddings, or measures of our own."""

Metadata = Mapping[str, Any] | None
"""What that of an analysis of an image must contain."""
Row_co = TypeVar("Row_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ranked:
    """An image that looks like another, by one of two ways to tell."""

    digest: str
    ranked_by: str
    score: float
    """From 0 to 1 for the same. By measures, any two products have 0.15; by an embedding, its model says."""
    features: Features | None
    """None where only the endpoint has looked at it."""


def by_measures(
    desk: Desk, account_id: str, found: Features, limit: int, metadata: Metadata = None
) -> list[Ranked]:
    """The account's images nearest to these features, the nearest first."""
    near = _nearest(desk, _Measures(account_id, found, metadata), limit)
    return [Ranked(each.digest, MEASURES, math.exp(-each.distance), each.features) for each in near]


def by_embedding(
    desk: Desk, account_id: str, vector: Vector, limit: int, metadata: Metadata = None
) -> list[Ranked]:
    """The account's images whose embeddings by the model that is set are nearest to this, likewise."""
    space = Space(desk.settings.similar_embedding_model, len(vector))
    near = _nearest(desk, _Embeddings(account_id, space, vector, metadata), limit)
    with desk.database.transaction() as session:
        measured = features.of_all(session, [digest for digest, _ in near])
    return [
        Ranked(digest, EMBEDDING, min(1.0, max(0.0, cosine)), measured.get(digest)) for digest, cosine in near
    ]


class _Search(Protocol[Row_co]):
    """A search of an account's images by vectors of one sort."""

    def is_for_index(self, session: Session) -> bool:
        """Whether an index of them is there, and is the better way."""

    def near(self, session: Session, limit: int, *, exact: bool) -> Sequence[Row_co]:
        """The nearest, by the index or by looking at every one."""


def _nearest(desk: Desk, search: _Search[Row_co], limit: int) -> Sequence[Row_co]:
    """By the index where that pays; it gives up on an account that has few of very many images."""
    with desk.database.transaction() as session:
        if search.is_for_index(session):
            found = search.near(session, limit, exact=False)
            if len(found) == limit:
                return found
    with desk.database.transaction() as session:
        return search.near(session, limit, exact=True)


@dataclass(frozen=True, slots=True)
class _Measures:
    """By the vectors of our own measuring."""

    account_id: str
    features: Features
    metadata: Metadata

    def is_for_index(self, session: Session) -> bool:
        most = SMALL_CATALOGUE + 1
        return not self.metadata and catalogue.count_images(session, self.account_id, most) == most

    def near(self, session: Session, limit: int, *, exact: bool) -> Sequence[Near]:
        return features.near_by_vector(
            session, self.account_id, self.features, limit=limit, exact=exact, metadata=self.metadata
        )


@dataclass(frozen=True, slots=True)
class _Embeddings:
    """By the vectors of a model of the endpoint."""

    account_id: str
    space: Space
    vector: Vector
    metadata: Metadata

    def is_for_index(self, session: Session) -> bool:
        most = SMALL_CATALOGUE + 1
        return (
            not self.metadata
            and embedding_indexes.is_there(session, self.space)
            and embeddings.count(session, self.account_id, *self.space, most) == most
        )

    def near(self, session: Session, limit: int, *, exact: bool) -> Sequence[tuple[str, float]]:
        return embeddings.near(
            session,
            self.account_id,
            self.space.model,
            self.vector,
            limit=limit,
            exact=exact,
            metadata=self.metadata,
        )
