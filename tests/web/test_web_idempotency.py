"""Idempotency-Key: a request that is sent twice is done once, and says so."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, update

from core.errors import Unavailable
from core.models import Analysis, Batch, File, IdempotencyKey
from core.services import analyses, dispatching, idempotency
from core.services.idempotency import Once
from webapp.app import create_app
from webapp.idempotency import fingerprint

ANALYSES, BATCHES, FILES = "/api/v1/analyses", "/api/v1/batches", "/api/v1/files"
NOT_CREATING = (
    "/cancel",
    "/estimate",
    "/pause",
    "/redeliver",
    "/replay",
    "/resume",
    "/retry",
    "/rotate",
    "/similar",
    "/test",
)


def forms(content):
    """A body for every route that creates, anew each time: the client closes what it has sent."""

    def part(name="p.jpg"):
        return io.BytesIO(content), name

    return {
        ANALYSES: {"file": part(), "question": "?!"},
        BATCHES: {"images": [part()], "question": "?!"},
        "/api/v1/batch-analyze": {"images": [part()], "question": "?!"},
        "/api/v1/image/analyze-batch": {"files": [part()], "question": "?!"},
        FILES: {"file": part()},
        "/api/v1/image/analyze": {"file": part(), "question": "?!"},
        "/api/v1/image/analyze-with-context": {"file": part(), "question": "?!", "context": "A mug."},
        "/api/v1/analyze-product": {"image": part()},
    }


def post(client, content, key, route=ANALYSES, **fields):
    data = {**forms(content)[route], **fields}
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(route, data=data, headers=headers)


def is_replayed(answer):
    return answer.headers.get("Idempotency-Replayed") == "true"


def count(desk, key, table):
    with desk.database.transaction() as session:
        mine = select(func.count()).select_from(table).where(table.account_id == key.key.account_id)
        return session.scalar(mine)


@pytest.fixture
def impatient(settings, desk, key):
    """A client of an app that waits for no answer."""
    hurried = replace(desk, settings=replace(settings, request_timeout=0.001))
    signed_in = create_app(hurried.settings, hurried).test_client()
    signed_in.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
    return signed_in


@pytest.mark.parametrize("route", forms(b""))
def test_every_route_that_creates_does_a_request_once_and_answers_alike(impatient, key, desk, photo, route):
    content = photo("plum")
    first, again = (post(impatient, content, "order-1", route) for _ in range(2))
    assert first.status_code in {201, 202}, first.text
    assert (is_replayed(first), is_replayed(again)) == (False, True)
    assert (again.status_code, again.headers["Location"]) == (first.status_code, first.headers["Location"])
    varying = {"timestamp"}
    assert {name: value for name, value in again.json.items() if name not in varying} == {
        name: value for name, value in first.json.items() if name not in varying
    }
    assert max(count(desk, key, table) for table in (Analysis, Batch, File, IdempotencyKey)) == 1


def test_the_document_offers_the_header_on_every_post_that_creates_and_on_no_other(client):
    for path, operations in client.get("/openapi.json").json["paths"].items():
        if "post" not in operations:
            continue
        post = operations["post"]
        names = {parameter.get("name") for parameter in post.get("parameters", [])}
        creates = not path.endswith(NOT_CREATING)
        assert ("Idempotency-Key" in names) == creates, path
        assert "429" in post["responses"]
        if creates:
            assert {"400", "404", "409", "422"} <= post["responses"].keys(), path


PRESET = {"name": "shoes", "title": "Shoes", "prompt": "Look.", "question": "Which?"}
NODES = [{"id": "1", "label": "Mugs"}]
KNOWLEDGE = {
    "/api/v1/presets": PRESET,
    "/api/v1/brands": {"name": "Nike"},
    "/api/v1/taxonomies": {"name": "shop", "nodes": NODES},
}
"""What a shop teaches, and the body of each."""


def teach(client, route, body, key="k"):
    return client.post(route, json=body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("route", KNOWLEDGE)
def test_what_a_shop_teaches_twice_under_one_key_is_learnt_once(client, route):
    first, again = (teach(client, route, KNOWLEDGE[route]) for _ in range(2))
    assert (first.status_code, again.status_code, again.json) == (201, 201, first.json)
    assert (is_replayed(first), is_replayed(again)) == (False, True)
    other = teach(client, route, KNOWLEDGE[route] | {"name": "another"})
    assert (other.status_code, other.json["error_code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("route", KNOWLEDGE)
def test_a_late_copy_neither_undoes_what_was_taught_since_nor_brings_back_what_was_deleted(client, route):
    changes = {
        "/api/v1/presets": {"title": "Newer"},
        "/api/v1/brands": {"aliases": ["나이키"]},
        "/api/v1/taxonomies": {"nodes": [*NODES, {"id": "2", "label": "Cups"}]},
    }
    body = KNOWLEDGE[route]
    made = teach(client, route, body).json
    teach(client, route, body | changes[route], key="newer")
    late = teach(client, route, body).json
    assert late["name"] == made["name"]
    if route != "/api/v1/presets":  # a version of one stays as it is
        assert late != made
    client.delete(f"{route}/{made.get('id', made['name'])}")
    assert teach(client, route, body).status_code == 404


def test_an_import_that_is_sent_twice_is_done_once(client):
    def send():
        return client.post(
            "/api/v1/brands/import",
            data={"file": (io.BytesIO(b"name\nNike\nPuma\n"), "brands.csv")},
            headers={"Idempotency-Key": "k"},
        )

    def known():
        return client.get("/api/v1/brands").json["data"]

    assert (send().json["imported"], len(known())) == (2, 2)
    client.delete(f"/api/v1/brands/{known()[0]['id']}")
    again = send()
    assert (again.json["imported"], is_replayed(again), len(known())) == (2, True, 1)


def test_a_trial_that_is_paid_is_paid_once_and_one_that_is_free_uses_up_no_key(client, key, desk, photo):
    def trial(run):
        image = {"base64": base64.b64encode(photo("navy")).decode()}
        body = {"images": [image], "wait": 0, "run": run}
        answer = teach(client, "/api/v1/presets/product/try", body)
        assert answer.status_code == 200, answer.text
        return answer

    assert trial(run=False).json["analysis"] is None
    first, again = trial(run=True), trial(run=True)
    assert again.json["analysis"]["id"] == first.json["analysis"]["id"]
    assert (is_replayed(first), is_replayed(again)) == (False, True)
    assert count(desk, key, Analysis) == 1


def test_a_json_body_is_the_same_whatever_the_order_of_its_fields(client, key, desk, photo):
    image = {"base64": base64.b64encode(photo("navy")).decode(), "name": "a.jpg"}
    headers = {"Idempotency-Key": "json"}
    body = {"question": "?!", "images": [image], "metadata": {"a": 1, "b": 2}}
    turned = {"metadata": {"b": 2, "a": 1}, "images": [dict(reversed(image.items()))], "question": "?!"}
    first = client.post(ANALYSES, json=body, headers=headers)
    again = client.post(ANALYSES, json=turned, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json == first.json
    assert count(desk, key, Analysis) == 1


def test_another_body_under_the_same_key_is_a_422_and_makes_nothing(client, key, desk, photo):
    content = photo("lime")
    one_byte_off = content[:-1] + bytes([content[-1] ^ 1])
    assert post(client, content, "k").status_code == 202
    for answer in (
        post(client, one_byte_off, "k"),
        post(client, content, "k", question="Another?"),
        post(client, content, "k", file=(io.BytesIO(content), "other.jpg")),
    ):
        assert (answer.status_code, answer.json["error_code"]) == (422, "idempotency_mismatch")
    assert count(desk, key, Analysis) == 1


def test_keys_of_other_accounts_and_other_routes_are_independent(app, new_key, photo):
    content, ids = photo("pink"), set()
    for made in (new_key(), new_key()):
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.secret}"
        ids |= {post(client, content, "same", route).json["id"] for route in (ANALYSES, BATCHES, FILES)}
    assert len(ids) == 6


def test_two_keys_of_one_account_share_its_idempotency_keys(app, new_key, photo):
    ids = set()
    for _ in range(2):
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key(account='one shop').secret}"
        ids.add(post(client, photo("gold"), "shared").json["id"])
    assert len(ids) == 1


@pytest.mark.parametrize("sent", ["", " ", "a b", "x" * 256, "ä", "a\tb", "\x7f"])
def test_a_key_that_is_none_is_a_400(client, photo, sent):
    answer = post(client, photo(), sent)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert "Idempotency-Key" in answer.json["error"]


def test_a_key_has_up_to_255_characters_and_without_one_nothing_is_remembered(client, key, desk, photo):
    assert post(client, photo(), "~" * 255).status_code == 202
    answers = [post(client, photo(), None) for _ in range(2)]
    assert len({answer.json["id"] for answer in answers}) == 2
    assert not any(is_replayed(answer) for answer in answers)
    assert count(desk, key, IdempotencyKey) == 1


def test_a_refusal_does_not_use_up_the_key(client, photo):
    assert post(client, b"no image at all", "k").status_code == 400
    missing = {"question": "?!", "images": [{"file_id": "file_" + "0" * 26}]}
    assert client.post(ANALYSES, json=missing, headers={"Idempotency-Key": "k"}).status_code == 404
    answer = post(client, photo(), "k")
    assert (answer.status_code, is_replayed(answer)) == (202, False)


def test_while_the_first_is_in_flight_the_second_is_a_409_that_says_when_and_a_broken_first_frees_the_key(
    client, desk, key, photo
):
    first = Once(account_id=key.key.account_id, route=ANALYSES, key="k", fingerprint=b"?")

    def die_before_the_commit():
        with desk.database.transaction() as session:
            assert idempotency.earlier(desk, session, first, "an_first") is None
            answer = post(client, photo(), "k")
            assert (answer.status_code, answer.json["error_code"]) == (409, "request_in_flight")
            assert int(answer.headers["Retry-After"]) >= 1
            raise Unavailable

    with pytest.raises(Unavailable):
        die_before_the_commit()
    answer = post(client, photo(), "k")
    assert (answer.status_code, is_replayed(answer)) == (202, False)


def test_a_key_is_free_again_when_its_time_is_up_even_before_it_is_tidied_away(client, desk, key, photo):
    first = post(client, photo(), "k").json["id"]
    with desk.database.transaction() as session:
        old = func.now() - timedelta(seconds=desk.settings.idempotency_retention + 1)
        session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.account_id == key.key.account_id)
            .values(created_at=old)
        )
    second = post(client, photo("blue"), "k")
    assert (second.status_code, is_replayed(second)) == (202, False)
    assert second.json["id"] != first
    assert post(client, photo("blue"), "k").json["id"] == second.json["id"]


def test_upkeep_forgets_keys_whose_time_is_up_and_no_others(client, desk, key, photo):
    for name in ("old", "young"):
        post(client, photo(), name)
    with desk.database.transaction() as session:
        old = func.now() - timedelta(seconds=desk.settings.idempotency_retention + 1)
        mine = update(IdempotencyKey).where(IdempotencyKey.account_id == key.key.account_id)
        session.execute(mine.where(IdempotencyKey.key == "old").values(created_at=old))
    idempotency.forget_old(desk)
    assert count(desk, key, IdempotencyKey) == 1
    assert is_replayed(post(client, photo(), "young"))


def test_what_was_deleted_is_not_made_again_but_a_404(client, desk, key, photo):
    made = post(client, photo(), "k").json["id"]
    analyses.cancel(desk, key.key.account_id, made)
    assert client.delete(f"{ANALYSES}/{made}").status_code == 200
    answer = post(client, photo(), "k")
    assert (answer.status_code, answer.json["error_code"], is_replayed(answer)) == (404, "not_found", True)
    assert made in answer.json["error"]
    assert count(desk, key, Analysis) == 0


def test_a_batch_is_replayed_when_the_file_it_was_made_from_is_gone(client, desk, key, photo):
    image = client.post(FILES, data={"file": (io.BytesIO(photo()), "p.jpg")}).json["id"]
    lines = io.BytesIO(json.dumps({"image": image, "question": "?!"}).encode())
    source = client.post(FILES, data={"file": (lines, "in.jsonl"), "purpose": "batch"}).json["id"]

    def submit(**more):
        return client.post(
            BATCHES, json={"input_file_id": source, **more}, headers={"Idempotency-Key": "nightly"}
        )

    first = submit()
    assert client.delete(f"{FILES}/{source}").status_code == 200
    again = submit()
    assert (first.status_code, again.status_code, again.json["id"]) == (202, 202, first.json["id"])
    assert (is_replayed(first), is_replayed(again)) == (False, True)
    assert submit(priority="high").status_code == 422
    assert count(desk, key, Batch) == 1


def test_every_option_of_a_batch_may_be_given_under_a_key(client, photo):
    options = {
        "model": "gpt-4.1-mini",
        "completion_window": "12h",
        "priority": "high",
        "pilot": "1",
        "metadata": '{"season": 3}',
    }
    first, again, other = (
        post(client, photo(), "k", BATCHES, **options, max_cost=most) for most in ("2.50", "2.5", "2.51")
    )
    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 422]
    assert is_replayed(again)


def test_a_replay_shows_what_has_become_of_it_meanwhile(client, desk, key, photo):
    made = post(client, photo(), "k").json["id"]
    analyses.cancel(desk, key.key.account_id, made)
    again = post(client, photo(), "k")
    assert (again.status_code, again.json["id"], again.json["status"]) == (200, made, "cancelled")


def test_the_replay_of_a_batch_is_a_202_until_it_is_finished_and_then_a_200(client, desk, photo):
    def submit():
        data = {"images": (io.BytesIO(photo()), "p.jpg"), "question": "?!"}
        answer = client.post(BATCHES, data=data, headers={"Idempotency-Key": "nightly"})
        return answer.status_code, answer.json["status"], "Retry-After" in answer.headers

    assert submit() == submit() == (202, "running", True)
    batch_id = client.get(BATCHES).json["data"][0]["id"]
    client.post(f"{BATCHES}/{batch_id}/cancel")
    while client.get(f"{BATCHES}/{batch_id}").json["completed_at"] is None:
        dispatching.move_on(desk)
    assert submit() == (200, "cancelled", False)


def test_an_idempotent_submission_costs_one_statement_more(client, desk, photo):
    def statements(key):
        seen = []

        def note(_connection, _cursor, statement, *_):
            seen.append(statement)

        event.listen(desk.database.engine, "before_cursor_execute", note)
        try:
            assert post(client, photo("khaki"), key).status_code == 202
        finally:
            event.remove(desk.database.engine, "before_cursor_execute", note)
        return len(seen)

    assert statements("k") == statements(None) + 1


def test_a_fingerprint_tells_bodies_apart_that_look_alike():
    bodies = [
        {"a": "1"},
        {"a": 1},
        {"a": ["1"]},
        {"a": ["1", "2"]},
        {"a": ["2", "1"]},
        {"a": '["1", "2"]'},
        {"a": "1", "b": None},
        {"b": "1"},
        {"a": b"1"},
        {"a": {"x": [1]}},
        {},
    ]
    assert len({fingerprint(body) for body in bodies}) == len(bodies)


def test_a_body_that_is_nested_too_deeply_to_compare_is_a_400(client):
    deep = '{"inputs": [' + '{"metadata": ' * 900 + "1" + "}" * 900 + "]}"
    answer = client.post(
        BATCHES, data=deep, headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("route", [ANALYSES, BATCHES])
def test_a_hundred_at_once_make_one(quick, photo, route):
    session, content = quick.session(), photo("maroon", (640, 480))
    data = {"question": "?!"}
    name = "file" if route == ANALYSES else "images"

    def send(_):
        return quick.session_of(session).post(
            quick.url + route,
            data=data,
            files={name: ("p.jpg", content)},
            headers={"Idempotency-Key": "at-once"},
            timeout=60,
        )

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(send, range(100)))
    taken = [answer for answer in answers if answer.status_code != 409]
    assert {answer.status_code for answer in taken} <= {200, 202}
    assert {answer.json()["error_code"] for answer in answers if answer not in taken} <= {"request_in_flight"}
    assert all("Retry-After" in answer.headers for answer in answers if answer not in taken)
    assert len({answer.json()["id"] for answer in taken}) == 1
    assert sum(not is_replayed(answer) for answer in taken) == 1
    assert len(session.get(quick.url + route, timeout=10).json()["data"]) == 1
    assert is_replayed(send(0))


def test_a_waiting_route_that_is_asked_again_waits_for_the_same_answer(quick, photo):
    session = quick.session()

    def ask():
        return session.post(
            f"{quick.url}/api/v1/image/analyze",
            data={"question": "What colour is it?"},
            files={"file": ("p.jpg", photo("teal"))},
            headers={"Idempotency-Key": "mug-1"},
            timeout=60,
        )

    first, again = ask(), ask()
    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.json()["id"], again.json()["answer"]) == (first.json()["id"], first.json()["answer"])
    assert is_replayed(again)
