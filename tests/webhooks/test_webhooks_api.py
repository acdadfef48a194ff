"""Webhooks over HTTP: made, changed, looked at, and nobody else's business."""

import json
from io import BytesIO

import pytest

from core.services import analyses, deliveries, keys
from webapp.app import create_app


@pytest.fixture
def client(hooked_desk, shop):
    """A test client of a server that may send to this machine, signed in as the shop."""
    signed_in = create_app(hooked_desk.settings, hooked_desk).test_client()
    signed_in.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {shop.secret}"
    return signed_in


URL = "/api/v1/webhooks"


@pytest.fixture
def make(client, receiver):
    def making(**body):
        answer = client.post(URL, json={"url": receiver.url, **body})
        assert answer.status_code == 201, answer.text
        return answer.json

    return making


def test_the_secret_is_shown_once(client, make):
    made = make()
    assert made["secret"].startswith("whsec_")
    for path in (f"{URL}/{made['id']}", URL):
        assert made["secret"] not in client.get(path).text
    assert "secret" not in client.patch(f"{URL}/{made['id']}", json={"description": "x"}).json


def test_a_creation_that_is_sent_again_makes_nothing_new_and_answers_the_same(client, receiver):
    headers = {"Idempotency-Key": "hook-1"}
    body = {"url": receiver.url}
    first, again = (client.post(URL, json=body, headers=headers) for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(client.get(URL).json["data"]) == 1
    assert client.post(URL, json=body | {"description": "x"}, headers=headers).status_code == 422


def test_a_submission_with_a_webhook_may_be_sent_again_as_any_other(client, receiver, photo):
    fields = {"question": "?!", "webhook_url": receiver.url, "webhook_secret": "plain-secret"}

    def post(path, file, **more):
        content = {file: (BytesIO(photo()), "p.jpg")}
        headers = {"Idempotency-Key": f"once-{path}"}
        return client.post(f"/api/v1/{path}", data=fields | content | more, headers=headers)

    for path, file, more in (("analyses", "file", {}), ("batches", "images", {"max_cost": "1.5"})):
        first, again = post(path, file, **more), post(path, file, **more)
        assert (first.status_code, again.status_code) == (202, 202), first.text
        assert first.json["id"] == again.json["id"]
        assert len(client.get(f"{URL}?subject={first.json['id']}").json["data"]) == 1
        assert post(path, file, **more | {"webhook_secret": "another-secret"}).status_code == 422


def test_a_plain_secret_of_ones_own_is_taken(make):
    assert make(secret="our-own-secret")["secret"] == "our-own-secret"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": ""},
        {"url": "ftp://127.0.0.1/x"},
        {"url": "http://10.0.0.1/x"},
        {"url": "http://user:pw@127.0.0.1/x"},
        {"url": "http://0x7f.1.1.1.1/x"},
        {"url": "http://127.0.0.1/x", "events": []},
        {"url": "http://127.0.0.1/x", "events": ["analysis.nonsense"]},
        {"url": "http://127.0.0.1/x", "secret": "short"},
        {"url": "http://127.0.0.1/x", "batch_items": "yes"},
        {"url": "http://127.0.0.1/\u0000"},
        {"url": "http://127.0.0.1/x", "description": "x" * 201},
    ],
)
def test_what_cannot_be_a_webhook_is_refused(client, body):
    answer = client.post(URL, json=body)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")


def test_pages_hold_what_was_made_the_newest_first(client, make):
    ids = [make()["id"] for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(f"{URL}?limit=2{cursor and f'&cursor={cursor}'}").json
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert seen == sorted(ids, reverse=True)


def test_it_is_changed_disabled_and_enabled(client, make):
    place = f"{URL}/{make()['id']}"
    changed = client.patch(place, json={"events": ["batch.completed"], "enabled": False}).json
    assert (changed["events"], changed["enabled"]) == (["batch.completed"], False)
    assert changed["disabled_reason"] == "disabled by the client"
    assert client.post(f"{place}/test").status_code == 409
    assert client.patch(place, json={"enabled": True}).json["disabled_reason"] is None
    assert client.post(f"{place}/test").status_code == 202


def test_a_test_ping_arrives_and_is_seen_with_its_attempt(client, make, shop, receiver):
    place = f"{URL}/{make(events=['batch.failed'])['id']}"
    sent = client.post(f"{place}/test").json
    assert sent["status"] == "pending"
    shop.deliver()
    [message] = receiver.messages
    seen = client.get(f"{place}/deliveries/{sent['id']}").json
    assert (seen["status"], seen["last_status_code"], seen["message"]) == (
        "delivered",
        204,
        json.loads(message.body),
    )
    assert seen["history"][0]["reply"] == ""
    [line] = client.get(f"{place}/deliveries?status=delivered").json["data"]
    assert (line["id"], line["attempts"]) == (sent["id"], 1)
    assert client.get(f"{place}/deliveries?status=failed").json["data"] == []


def test_deliveries_come_in_pages(client, make, shop):
    place = f"{URL}/{make()['id']}/deliveries"
    for _ in range(3):
        shop.complete()
    first = client.get(f"{place}?limit=2").json
    rest = client.get(f"{place}?limit=2&cursor={first['next_cursor']}").json
    assert len({row["id"] for row in first["data"] + rest["data"]}) == 3
    assert rest["next_cursor"] is None


def test_redelivering_and_replaying_over_http(client, make, shop, receiver):
    place = f"{URL}/{make()['id']}"
    shop.complete()
    [row] = shop.outbox()
    again = f"{place}/deliveries/{row.id}/redeliver"
    assert client.post(again).status_code == 409  # it is on its way
    shop.deliver()
    assert client.post(again).json["status"] == "pending"
    shop.deliver()
    answer = client.post(f"{place}/replay", json={"since": "2026-01-01T00:00:00Z", "status": "delivered"})
    assert (answer.status_code, answer.json) == (202, {"deliveries": 1})
    shop.deliver()
    assert receiver.ids == [row.id] * 3


@pytest.mark.parametrize(
    "body",
    [{}, {"since": "yesterday"}, {"since": "2026-01-01T00:00:00"}, {"since": "0001-01-01T00:00:00+14:00"},
     {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
     {"since": "2026-01-01T00:00:00Z", "status": "pending"}],
)  # fmt: skip
def test_a_span_that_is_none_is_refused(client, make, body):
    assert client.post(f"{URL}/{make()['id']}/replay", json=body).status_code == 400


def test_rotation_shows_the_new_secret_and_until_when_the_old_one_signs(client, make):
    made = make()
    rotated = client.post(f"{URL}/{made['id']}/rotate").json
    assert rotated["secret"] not in {made["secret"], None}
    assert rotated["old_secret_until"]
    assert (
        client.post(f"{URL}/{made['id']}/rotate", json={"secret": "of-our-own"}).json["secret"]
        == "of-our-own"
    )


def test_a_deleted_webhook_is_gone_with_its_deliveries(client, make, shop):
    place = f"{URL}/{make()['id']}"
    shop.complete()
    assert client.delete(place).json["deleted"] is True
    assert client.get(place).status_code == client.delete(place).status_code == 404
    assert shop.outbox() == []


def test_another_accounts_webhook_does_not_exist(client, new_shop, receiver):
    other = new_shop()
    theirs = other.webhook(receiver)
    other.complete()
    [row] = other.outbox()
    place = f"{URL}/{theirs.id}"
    for method, path in (
        ("get", place),
        ("patch", place),
        ("delete", place),
        ("post", f"{place}/rotate"),
        ("post", f"{place}/test"),
        ("get", f"{place}/deliveries"),
        ("get", f"{place}/deliveries/{row.id}"),
        ("post", f"{place}/deliveries/{row.id}/redeliver"),
    ):
        assert getattr(client, method)(path, json={}).status_code == 404, path
    assert client.get(URL).json["data"] == []


def test_a_key_that_may_only_read_changes_nothing(client, make, shop, hooked_desk):
    place = f"{URL}/{make()['id']}"
    reader = keys.create(hooked_desk, account=shop.account, name="r", scopes=frozenset({keys.Scope.READ}))
    headers = {"Authorization": f"Bearer {reader.secret}"}
    assert client.get(place, headers=headers).status_code == 200
    for method, path in (("post", URL), ("patch", place), ("delete", place), ("post", f"{place}/test")):
        assert getattr(client, method)(path, json={}, headers=headers).status_code == 403


def test_an_account_has_room_for_fifty(client, make):
    for _ in range(50):
        make()
    answer = client.post(URL, json={"url": "http://127.0.0.1/x"})
    assert (answer.status_code, answer.json["error_code"]) == (409, "conflict")


def test_a_submission_names_its_own_webhook(client, shop, receiver, photo):
    fields = {"question": "?!", "webhook_url": receiver.url, "webhook_secret": "plain-secret"}
    files = {"file": (BytesIO(photo()), "p.jpg")}
    made = client.post("/api/v1/analyses", data=fields | files)
    assert made.status_code == 202, made.text
    assert "plain-secret" not in made.text
    analyses.cancel(shop.desk, shop.key.account_id, made.json["id"])
    shop.deliver()
    [message] = receiver.messages
    assert json.loads(message.body)["type"] == "analysis.cancelled"
    assert message.headers["webhook-signature"].startswith("v1,")
    [found] = client.get(f"{URL}?subject={made.json['id']}").json["data"]
    assert (found["subject"], found["url"]) == (made.json["id"], receiver.url)
    [line] = client.get(f"{URL}/{found['id']}/deliveries").json["data"]
    assert line["status"] == "delivered"


@pytest.mark.parametrize(
    "fields",
    [
        {"webhook_url": "http://10.0.0.1/"},
        {"webhook_url": "nonsense"},
        {"webhook_secret": "plain-secret"},
        {"webhook_url": "http://127.0.0.1/", "webhook_secret": "short"},
    ],
)
@pytest.mark.parametrize("path", ["analyses", "batches"])
def test_a_submission_that_cannot_be_told_of_is_refused_whole(client, photo, path, fields):
    upload = client.post("/api/v1/files", data={"file": (BytesIO(photo()), "p.jpg")}).json["id"]
    item = {"question": "?!", "images": [{"file_id": upload}]}
    line = {"question": "?!", "custom_id": "a", "image": upload}
    body = {"inputs": [line]} if path == "batches" else item
    answer = client.post(f"/api/v1/{path}", json=body | fields)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert "webhook" in answer.json["error"]


def test_a_batch_names_its_own_webhook_and_hears_of_no_items(client, shop, receiver, photo):
    upload = client.post("/api/v1/files", data={"file": (BytesIO(photo()), "p.jpg")}).json["id"]
    body = {"inputs": [{"custom_id": "a", "image": upload, "question": "?!"}], "webhook_url": receiver.url}
    batch_id = client.post("/api/v1/batches", json=body).json["id"]
    shop.complete_item(batch_id, 0)
    deliveries.tell_progress(shop.desk)
    shop.move_on()
    assert [row.type for row in shop.outbox()] == ["batch.completed"]
    shop.deliver()
    assert "webhook-signature" not in receiver.messages[0].headers  # no secret was given


def test_events_are_followed_live_without_a_receiver(client, shop):
    stream = client.get(f"{URL}/stream")
    blocks = iter(stream.response)
    listening = json.loads(next(blocks).decode().split("data: ")[1])
    assert listening["secret"].startswith("whsec_")
    done = shop.complete()
    message = next(blocks).decode()
    assert "event: message" in message
    body = json.loads(message.split("data: ")[1])
    assert (body["type"], body["data"]["id"]) == ("analysis.completed", done)
    assert client.get(URL).json["data"] == []  # no listener is listed
    stream.close()
    assert shop.outbox() == []
