"""HNSW indexes of embeddings: one for each model and length, made and dropped while all else goes on.

pgvector indexes vectors of one length, and which there will be is only known once a model has answered.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, text
from sqlalchemy.orm import Session

from core.models import ImageEmbedding
from core.models.feature import CANDIDATES, NEIGHBOURS

PREFIX = "ix_image_embeddings_near_"
MOST_DIMENSIONS = 4_000
"""That pgvector's HNSW takes in half precision."""
LEAST_MEMORY = 256 * 1024
"""kB for a build: 140,000 vectors of 768 numbers; a graph that outgrows it is finished on disk, slowly."""
POST = "embedding-indexes"


class Space(NamedTuple):
    """Vectors that can be compared."""

    model: str
    dimensions: int

    @property
    def index_name(self) -> str:
        """The name of its index."""
        return f"{prefix_of(self.model)}{self.dimensions}"


def prefix_of(model: str) -> str:
    """How the indexes of a model are called; its own name may be longer than one of Postgres's."""
    return f"{PREFIX}{sha256(model.encode()).hexdigest()[:12]}_"


def is_there(session: Session, space: Space) -> bool:
    """Whether an index of these vectors can be searched."""
    return bool(session.scalar(_VALID, {"name": space.index_name}))


def crowded(connection: Connection, model: str, most: int) -> list[int]:
    """The lengths of a model's vectors of which some account has more than `most`."""
    lengths = (
        select(ImageEmbedding.dimensions)
        .where(ImageEmbedding.model == model, ImageEmbedding.dimensions.is_not(None))
        .group_by(ImageEmbedding.dimensions, ImageEmbedding.account_id)
        .having(func.count() > most)
        .distinct()
    )
    return sorted(length for length in connection.execute(lengths).scalars() if length is not None)


def standing(connection: Connection) -> dict[str, bool]:
    """The names of all these indexes; whether each can be searched, or was left half made."""
    rows = connection.execute(_STANDING, {"like": f"{PREFIX}%"})
    return {row.relname: row.indisvalid for row in rows}


def prepare(connection: Connection) -> bool:
    """Make a connection one that builds, for as long as it is open; False where another builds just now."""
    connection.execute(_SETTINGS, {"memory": LEAST_MEMORY})
    return bool(connection.execute(select(func.pg_try_advisory_lock(func.hashtext(POST)))).scalar_one())


def create(connection: Connection, space: Space) -> None:
    """Make the index while rows are read and written. If interrupted, it leaves one that is not valid."""
    _run(connection, _CREATE, {"name": space.index_name, **space._asdict()})


def drop(connection: Connection, name: str) -> None:
    """Drop one of these indexes; rows are read and written meanwhile."""
    _run(connection, _DROP, {"name": name})


def _run(connection: Connection, written: Any, values: dict[str, Any]) -> None:
    """Run a statement that takes no parameters, and is written by Postgres, which knows how to quote them."""
    statement = connection.execute(written, values).scalar_one()
    connection.execution_options(no_parameters=True).exec_driver_sql(statement)


_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_STANDING = text(
    "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE indrelid = 'image_embeddings'::regclass AND relname LIKE :like"
)
_SETTINGS = text(
    "SELECT set_config('statement_timeout', '0', false),"
    # In containers, the memory that parallel workers share is often too small for a graph.
    " set_config('max_parallel_maintenance_workers', '0', false),"
    " set_config('maintenance_work_mem', greatest(setting::bigint, :memory) || 'kB', false)"
    " FROM pg_settings WHERE name = 'maintenance_work_mem'"
)
_CREATE = text(
    "SELECT format('CREATE INDEX CONCURRENTLY %I ON image_embeddings"
    " USING hnsw ((vector::halfvec(%s)) halfvec_cosine_ops)"
    f" WITH (m = {NEIGHBOURS}, ef_construction = {CANDIDATES})"
    " WHERE model = %L AND dimensions = %s',"
    " CAST(:name AS text), CAST(:dimensions AS text), CAST(:model AS text), CAST(:dimensions AS text))"
)
_DROP = text("SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I', CAST(:name AS text))")
