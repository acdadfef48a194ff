"""How far searches of pgvector's HNSW indexes look, whatever the vectors are of."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

EF_SEARCH = 100
"""Rows that a search looks at: recall@10 is 0.95 and more from here on (bench/similar.py)."""
_SEARCHING = text(
    "SELECT set_config('hnsw.ef_search', :ef, true), set_config('hnsw.iterative_scan', 'strict_order', true),"
    " set_config('enable_sort', 'off', true),"
    " set_config('plan_cache_mode', 'force_custom_plan', true)"  # else no index of a part of a table is used
)


def search_index(session: Session, limit: int) -> None:
    """Have what follows in this transaction search an index, until so many rows fit or 20,000 were seen."""
    session.execute(_SEARCHING, {"ef": str(max(EF_SEARCH, limit))})
