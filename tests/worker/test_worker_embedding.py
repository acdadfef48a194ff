"""Embeddings of images: asked of the endpoint by analyses of their own, kept, and paid once."""

import dataclasses
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from core.models import Analysis, BudgetKind
from core.queue import BULK
from core.services import image_embeddings
from core.services.embedding_indexes import EmbeddingIndexes
from core.services.keys import Scope
from core.states import AnalysisState
from core.store import embedding_indexes, embeddings
from core.store.embedding_indexes import Space
from core.store.embeddings import Wanted
from worker.analyze import Analyzer
from worker.indexing import Indexer
from worker.leases import Leases
from worker.upkeep import Upkeep

MODEL = "text-embedding-3-small"


@pytest.fixture
def desk(desk):
    """The same, with a model for embeddings."""
    return dataclasses.replace(
        desk, settings=dataclasses.replace(desk.settings, similar_embedding_model=MODEL)
    )


def embedded(*rows, tokens=85):
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": MODEL, "data": data, "usage": usage}


@pytest.fixture
def image(shop):
    """The digest of an image that the shop has."""
    shop.submit()
    return hashlib.sha256(shop.photo()).hexdigest()


def order(shop, image, key=None):
    return image_embeddings.order(shop.desk, key or shop.key, image, "req-1")


def vector(shop, image):
    return image_embeddings.of(shop.desk, shop.key.account_id, image)


def count_orders(shop):
    with shop.desk.database.transaction() as session:
        query = select(func.count()).where(
            Analysis.account_id == shop.key.account_id, Analysis.preset == image_embeddings.PRESET
        )
        return session.execute(query).scalar_one()


def test_the_prepared_picture_is_asked_for_and_its_vector_is_kept_with_length_1(shop, image, script):
    script.say(embedded([3.0, 0, -4]))
    done = shop.run(order(shop, image))
    assert (done.state, done.data) == (AnalysisState.COMPLETED, {"dimensions": 3})
    assert vector(shop, image) == pytest.approx((0.6, 0, -0.8), abs=1e-3)
    [asked] = script.calls
    body = asked["body"]
    assert body["model"] == MODEL
    [message] = body["messages"]
    [part] = message["content"]
    assert part["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_the_call_is_in_the_books_with_its_tokens_its_cost_and_a_preset_of_its_own(shop, image, script):
    script.say(embedded([1.0], tokens=500))
    done = shop.run(order(shop, image))
    [call] = shop.calls(done.id)
    assert (call.state, call.preset, call.prompt_tokens) == ("settled", image_embeddings.PRESET, 500)
    assert float(call.prompt_cost) == pytest.approx(500 * 0.02 / 1_000_000)
    assert call.reserved_tokens >= 85
    assert done.prompt_tokens == 500


def test_an_image_is_paid_once_for_an_account_and_a_model(shop, image, script):
    script.say(embedded([1.0]))
    first = order(shop, image)
    assert order(shop, image) == first
    shop.run(first)
    assert order(shop, image) is None
    assert (count_orders(shop), len(script.calls)) == (1, 1)


def test_orders_at_the_same_time_make_one_analysis(shop, image):
    with ThreadPoolExecutor(8) as pool:
        ordered = set(pool.map(lambda _: order(shop, image), range(24)))
    assert len(ordered) == 1
    assert count_orders(shop) == 1


def test_each_account_pays_for_its_own_and_sees_no_others(shop, image, script, new_key):
    script.say(embedded([1.0]))
    shop.run(order(shop, image))
    other = new_key().key
    assert order(shop, image, other) is not None
    assert image_embeddings.of(shop.desk, other.account_id, image) is None


def test_another_model_is_another_embedding(shop, image, script):
    script.say(embedded([1.0]))
    shop.run(order(shop, image))
    settings = dataclasses.replace(shop.desk.settings, similar_embedding_model="text-embedding-3-large")
    shop.desk = dataclasses.replace(shop.desk, settings=settings)
    assert vector(shop, image) is None
    assert order(shop, image) is not None


def test_bytes_that_are_gone_are_not_ordered(shop):
    assert order(shop, "e" * 64) is None
    assert count_orders(shop) == 0


def test_a_worker_that_died_with_the_vector_kept_has_it_not_paid_again(shop, image, script):
    ordered = order(shop, image)
    with shop.desk.database.statement() as connection:
        embeddings.keep(connection, Wanted(shop.key.account_id, MODEL, image), [1.0, 0.0])
    assert shop.run(ordered).state == AnalysisState.COMPLETED
    assert not script.calls
    assert not shop.calls(ordered)


@pytest.mark.parametrize(
    "answer",
    [
        embedded(),
        embedded([1.0], [2.0]),
        embedded([]),
        embedded([0.0, 0.0]),
        embedded(["1"]),
        embedded([True]),
        embedded([float("nan")]),
        embedded([10**400]),
        embedded([1.0] * 16_001),
        embedded("AACAPw=="),
        {"data": [3]},
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_what_is_no_vector_fails_alone_and_can_be_ordered_again(shop, image, script, answer):
    script.say(answer)
    failed = shop.run(order(shop, image))
    assert (failed.state, failed.error_code) == (AnalysisState.FAILED, "model_error")
    assert vector(shop, image) is None
    script.say(embedded([1.0]))
    assert shop.run(order(shop, image)).state == AnalysisState.COMPLETED


def test_an_endpoint_that_takes_no_images_costs_nothing_and_says_why(shop, image, script):
    script.say({"error": {"message": "input is required", "type": "invalid_request_error"}}, 400)
    failed = shop.run(order(shop, image))
    assert failed.state == AnalysisState.FAILED
    assert "input is required" in failed.error_message
    [call] = shop.calls(failed.id)
    assert call.state == "refused"


@pytest.fixture
def indexing(desk, fetcher, preparer, vision, throttle):
    """An analyzer that fills an index, and that index."""
    indexer, leases = Indexer(desk, preparer), Leases(desk)
    yield Analyzer(desk, fetcher, preparer, vision, throttle, leases, "indexing", indexer.note), indexer
    leases.close()
    indexer.close()


def say_mug(script):
    message = {"role": "assistant", "content": "A mug."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    script.say({"id": "up", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})


def test_an_image_that_is_analysed_is_ordered_once_and_what_embeds_it_orders_nothing(shop, script, indexing):
    analyzer, indexer = indexing
    digest = hashlib.sha256(shop.photo()).hexdigest()
    for question in ("What is it?", "What colour is it?"):
        say_mug(script)
        analyzer.analyze(shop.submit(question=question))
        indexer._order()
    assert count_orders(shop) == 1
    script.say(embedded([1.0]))
    analyzer.analyze(order(shop, digest))
    indexer._order()
    assert count_orders(shop) == 1
    assert vector(shop, digest) == (1.0,)


def test_without_a_model_nothing_is_ordered(shop, script, indexing):
    analyzer, indexer = indexing
    settings = dataclasses.replace(shop.desk.settings, similar_embedding_model="")
    indexer._desk = dataclasses.replace(shop.desk, settings=settings)
    say_mug(script)
    analyzer.analyze(shop.submit())
    indexer._order()
    assert count_orders(shop) == 0


def test_a_budget_that_is_used_up_leaves_the_analysis_as_it_is_and_orders_nothing(
    shop, script, indexing, new_key
):
    analyzer, indexer = indexing
    shop.key = new_key(spending={BudgetKind.DAILY_TOKENS: 30_000}).key
    say_mug(script)
    analysis_id = shop.submit()
    script.answers[0][1]["usage"]["prompt_tokens"] = 29_999
    analyzer.analyze(analysis_id)
    indexer._order()
    assert shop.look(analysis_id).state == AnalysisState.COMPLETED
    assert count_orders(shop) == 0


def test_missing_embeddings_are_of_measured_images_and_paid_by_a_key_that_may_write(
    shop, script, indexing, new_key
):
    _, indexer = indexing
    digest = hashlib.sha256(shop.photo()).hexdigest()
    reader = new_key(scopes=frozenset({Scope.READ})).key
    shop.submit()
    mine = Wanted(shop.key.account_id, MODEL, digest)
    before = (mine.account_id, "")
    indexer.measure(digest)
    assert image_embeddings.missing(shop.desk, before, 1) == [mine]
    [ordered] = image_embeddings.order_missing(shop.desk, [mine, mine._replace(account_id=reader.account_id)])
    script.say(embedded([1.0]))
    shop.run(ordered)
    assert mine not in image_embeddings.missing(shop.desk, before)
    assert image_embeddings.count_kept(shop.desk, [ordered]) == 1


def test_what_nobody_waits_for_is_rung_for_in_the_queue_of_bulk(shop, image, monkeypatch):
    rung = []
    monkeypatch.setattr(shop.desk.doorbell, "ring", lambda _task, ids, queue: rung.append((ids, queue)))
    image_embeddings.order_seen(shop.desk, [(shop.key.id, "req-1", image)])
    [(_, queue)] = rung
    assert queue == BULK


@pytest.fixture
def upkeep(shop, vision, throttle, monkeypatch):
    """The chores of a worker, which looks after indexes all the time; they are gone afterwards."""
    monkeypatch.setattr("worker.upkeep.INDEX_SECONDS", 0.05)
    monkeypatch.setattr("core.services.embedding_indexes.SMALL_CATALOGUE", 0)
    opened = []
    yield lambda: opened.append(Upkeep(shop.desk, vision, throttle, "test-upkeep"))
    for each in opened:
        each.close()
    settings = dataclasses.replace(shop.desk.settings, similar_embedding_model="")
    EmbeddingIndexes(dataclasses.replace(shop.desk, settings=settings)).keep_up()


def test_the_worker_that_leads_indexes_what_is_too_much_to_be_compared(shop, image, script, upkeep):
    script.say(embedded([0.1] * 7))
    shop.run(order(shop, image))
    upkeep()
    end = time.monotonic() + 120
    while not is_indexed(shop, 7):
        assert time.monotonic() < end
        time.sleep(0.05)


def is_indexed(shop, dimensions):
    with shop.desk.database.transaction() as session:
        return embedding_indexes.is_there(session, Space(MODEL, dimensions))
