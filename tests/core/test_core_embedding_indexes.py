"""The indexes of embeddings: which are made and dropped, by whom, and what is found by them."""

import dataclasses
import math
import random
import threading
import time
from contextlib import contextmanager
from hashlib import sha256

import pytest
from sqlalchemy import insert, text

from core.db import Database
from core.errors import Unavailable
from core.ids import new_id
from core.models import Blob, File, ImageEmbedding
from core.services import ranking
from core.services.embedding_indexes import EmbeddingIndexes
from core.store import embedding_indexes, hnsw
from core.store.embedding_indexes import Space

LENGTH, MANY = 16, 300
SMALL = 100
"""What is small here: at most so many."""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("core.services.ranking.SMALL_CATALOGUE", SMALL)
    monkeypatch.setattr("core.services.embedding_indexes.SMALL_CATALOGUE", SMALL)


@pytest.fixture
def model():
    """Its name is hostile on purpose."""
    return f'it\'s a 100% "model" {new_id("m")}'


@pytest.fixture
def embedding_desk(desk, model):
    """A desk with that model, which leaves no index behind."""
    yield naming(desk, model)
    EmbeddingIndexes(naming(desk, "")).keep_up()
    assert standing(desk) == {}


def naming(desk, model):
    return dataclasses.replace(
        desk, settings=dataclasses.replace(desk.settings, similar_embedding_model=model)
    )


def standing(desk):
    with desk.database.statement() as connection:
        return embedding_indexes.standing(connection)


def vector(dice, length=LENGTH):
    numbers = [dice.gauss(0, 1) for _ in range(length)]
    size = math.hypot(*numbers)
    return tuple(number / size for number in numbers)


def embeddings_of(account, model, count, length, seed=0):
    """Rows of an account's images and their embeddings."""
    dice = random.Random(seed)
    digests = [sha256(f"{account} {seed} {number}".encode()).hexdigest() for number in range(count)]
    blobs = [{"digest": digest, "byte_size": 1} for digest in digests]
    about = {"account_id": account, "byte_size": 1, "media_type": "image/jpeg", "name": "a.jpg"}
    files = [{"id": new_id("file"), "digest": digest, "purpose": "vision", **about} for digest in digests]
    vectors = [
        {
            "account_id": account,
            "model": model,
            "digest": digest,
            "analysis_id": "",
            "dimensions": length,
            "vector": list(vector(dice, length)),
        }
        for digest in digests
    ]
    return blobs, files, vectors


@pytest.fixture
def embed(desk, new_key, model):
    """Give an account images that are embedded; a new account, unless one is named."""

    def make(count=MANY, *, account=None, by=None, length=LENGTH, seed=0):
        account = account or new_key().key.account_id
        rows = embeddings_of(account, by or model, count, length, seed)
        with desk.database.transaction() as session:
            for table, values in zip((Blob, File, ImageEmbedding), rows, strict=True):
                session.execute(insert(table), values)
        return account

    return make


def nearest(desk, account, asked, limit=10):
    return [each.digest for each in ranking.by_embedding(desk, account, asked, limit)]


def searches(statements):
    """How many statements went to an index, as far as Vitrine knows."""
    return sum("hnsw.ef_search" in statement for statement in statements)


def test_an_account_with_many_embeddings_gets_an_index_and_finds_the_same_by_it(
    embedding_desk, embed, model, statements
):
    account, dice = embed(), random.Random(7)
    asked = [vector(dice) for _ in range(5)]
    exact = [nearest(embedding_desk, account, each) for each in asked]
    assert EmbeddingIndexes(embedding_desk).keep_up()
    assert standing(embedding_desk) == {Space(model, LENGTH).index_name: True}
    with statements() as seen:
        found = [nearest(embedding_desk, account, each) for each in asked]
    assert searches(seen) == len(asked)
    common = sum(len({*one} & {*other}) for one, other in zip(found, exact, strict=True))
    assert common >= 0.95 * 10 * len(asked)


def test_postgres_takes_the_index_for_such_a_search(embedding_desk, embed, model):
    account = embed()
    EmbeddingIndexes(embedding_desk).keep_up()
    with embedding_desk.database.transaction() as session:
        hnsw.search_index(session, 10)
        plan = session.scalars(
            text(
                "EXPLAIN SELECT digest FROM image_embeddings WHERE model = :model AND dimensions = :length"
                " AND account_id = :account"
                " ORDER BY vector::halfvec(16) <=> CAST(:asked AS halfvec(16)) LIMIT 10"
            ),
            {
                "model": model,
                "length": LENGTH,
                "account": account,
                "asked": str(list(vector(random.Random(1)))),
            },
        ).all()
    assert any(Space(model, LENGTH).index_name in line for line in plan), plan


def test_small_accounts_have_no_index_and_are_compared_with_each(embedding_desk, embed, statements):
    account = embed(SMALL)
    assert EmbeddingIndexes(embedding_desk).keep_up()
    assert standing(embedding_desk) == {}
    with statements() as seen:
        assert len(nearest(embedding_desk, account, vector(random.Random(1)))) == 10
    assert searches(seen) == 0


def test_a_small_account_beside_a_large_one_is_compared_with_each_of_its_own(
    embedding_desk, embed, statements
):
    embed()
    small = embed(12, seed=1)
    EmbeddingIndexes(embedding_desk).keep_up()
    with statements() as seen:
        assert len(nearest(embedding_desk, small, vector(random.Random(1)), limit=20)) == 12
    assert searches(seen) == 0


def test_an_account_finds_its_own_images_only_by_an_index_that_it_shares(embedding_desk, embed, desk):
    one, other = embed(), embed(seed=1)
    EmbeddingIndexes(embedding_desk).keep_up()
    asked = vector(random.Random(3))
    found = {account: set(nearest(embedding_desk, account, asked)) for account in (one, other)}
    assert [len(each) for each in found.values()] == [10, 10]
    with desk.database.transaction() as session:
        for account, digests in found.items():
            own = set(
                session.scalars(text("SELECT digest FROM files WHERE account_id = :id"), {"id": account})
            )
            assert digests <= own


def test_where_the_index_gives_up_every_one_is_compared(embedding_desk, embed, desk):
    account = embed()
    EmbeddingIndexes(embedding_desk).keep_up()
    with desk.database.transaction() as session:
        session.execute(
            text(
                "DELETE FROM files WHERE account_id = :id AND digest NOT IN"
                " (SELECT digest FROM files WHERE account_id = :id ORDER BY digest LIMIT 7)"
            ),
            {"id": account},
        )
    assert len(nearest(embedding_desk, account, vector(random.Random(4)))) == 7


def test_vectors_of_other_lengths_and_models_have_indexes_of_their_own_or_none(embedding_desk, embed, model):
    account = embed()
    embed(account=account, length=3, seed=1)
    embed(account=account, by="another", seed=2)
    EmbeddingIndexes(embedding_desk).keep_up()
    assert set(standing(embedding_desk)) == {Space(model, LENGTH).index_name, Space(model, 3).index_name}
    assert len(nearest(embedding_desk, account, (1.0, 0.0, 0.0))) == 10


def test_the_index_of_a_model_that_is_set_no_more_is_dropped(embedding_desk, embed, desk, model):
    embed()
    embed(by="another", seed=1)
    EmbeddingIndexes(embedding_desk).keep_up()
    EmbeddingIndexes(naming(desk, "another")).keep_up()
    assert standing(desk) == {Space("another", LENGTH).index_name: True}


def test_vectors_too_long_for_an_index_are_compared_with_each(embedding_desk, embed, monkeypatch):
    monkeypatch.setattr("core.services.embedding_indexes.MOST_DIMENSIONS", LENGTH - 1)
    account = embed()
    EmbeddingIndexes(embedding_desk).keep_up()
    assert standing(embedding_desk) == {}
    assert len(nearest(embedding_desk, account, vector(random.Random(1)))) == 10


@contextmanager
def beginning_to_write(desk, account, model):
    """A transaction that has written an embedding, and does not end before the block does."""
    rows = embeddings_of(account, model, 1, LENGTH, seed=99)
    with desk.database.transaction() as session:
        for table, values in zip((Blob, File, ImageEmbedding), rows, strict=True):
            session.execute(insert(table), values)
        yield rows[0][0]["digest"]


class Building:
    """An index that is being made, as far as a transaction that was there before lets it."""

    def __init__(self, desk):
        self.indexes, self.outcome = EmbeddingIndexes(desk), None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._begun.wait(30)

    def _run(self):
        try:
            self.outcome = self.indexes.keep_up(lambda *_, **__: self._begun.set())
        except Unavailable as error:
            self.outcome = error

    def ended(self):
        self._thread.join(60)
        return self.outcome


def test_rows_are_written_and_found_while_an_index_is_made_and_are_in_it(
    embedding_desk, embed, model, statements
):
    account = embed()
    with beginning_to_write(embedding_desk, account, model) as digest:
        building = Building(embedding_desk)  # it waits for that transaction
        assert not EmbeddingIndexes(embedding_desk).keep_up()
        embed(5, account=account, seed=98)
        assert len(nearest(embedding_desk, account, vector(random.Random(1)))) == 10
    assert building.ended() is True
    asked = tuple(embeddings_of(account, model, 1, LENGTH, seed=99)[2][0]["vector"])
    with statements() as seen:
        assert nearest(embedding_desk, account, asked)[0] == digest
    assert searches(seen) == 1


def test_an_index_that_is_broken_off_is_not_searched_and_is_made_again(
    embedding_desk, embed, model, statements
):
    account, name = embed(), Space(model, LENGTH).index_name
    with beginning_to_write(embedding_desk, account, model):
        building = Building(embedding_desk)
        end = time.monotonic() + 60
        while name not in standing(embedding_desk):
            assert time.monotonic() < end
            time.sleep(0.01)
        building.indexes.stop()
        assert isinstance(building.ended(), Unavailable)
    assert standing(embedding_desk) == {name: False}
    with statements() as seen:
        assert len(nearest(embedding_desk, account, vector(random.Random(1)))) == 10
    assert searches(seen) == 0
    assert EmbeddingIndexes(embedding_desk).keep_up()
    assert standing(embedding_desk) == {name: True}


@pytest.fixture
def guest(embedding_desk):
    """A desk whose database user reads and writes the tables, but does not own them."""
    with embedding_desk.database.transaction() as session:
        session.execute(text("CREATE ROLE guest LOGIN"))
        session.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest"))
    url = embedding_desk.settings.database_url.replace("//postgres@", "//guest@")
    database = Database(url, pool_size=2, name="guest")
    yield dataclasses.replace(embedding_desk, database=database)
    database.close()
    with embedding_desk.database.transaction() as session:
        session.execute(text("DROP OWNED BY guest"))
        session.execute(text("DROP ROLE guest"))


def test_who_does_not_own_the_table_is_told_who_has_to_index_it_and_searches_go_on(guest, embed):
    account = embed()
    with pytest.raises(Unavailable, match="let the one that has migrated the database run"):
        EmbeddingIndexes(guest).keep_up()
    assert len(nearest(guest, account, vector(random.Random(1)))) == 10
