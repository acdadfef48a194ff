"""Rate limits: of a key, not of an address; told in headers; kept without Redis, and never in the way.

These limits are of a day: no test meets the end of a window.
"""

import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from waiting import PATIENCE

from core import quiet
from core.desk import Desk
from core.errors import InvalidRequest
from core.services import keys
from local.ports import free_port
from webapp.app import create_app

ANALYSES, FILES = "/api/v1/analyses", "/api/v1/files"
HEADERS = {f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset", "Reset-After")}


def app_with(desk, **settings):
    changed = replace(desk, settings=replace(desk.settings, **settings))
    return create_app(changed.settings, changed)


def client_of(app, made):
    signed_in = app.test_client()
    signed_in.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.secret}"
    return signed_in


def ask(client, photo, route=ANALYSES, name="file"):
    return client.post(route, data={name: (io.BytesIO(photo()), "p.jpg"), "question": "?!"})


def upload(client, photo):
    return client.post(FILES, data={"file": (io.BytesIO(photo()), "p.jpg")})


@pytest.fixture(scope="module")
def strict(desk):
    """An app with small limits."""
    return app_with(
        desk,
        rate_limit="3/day",
        upload_rate_limit="5/day",
        failure_rate_limit="4/day",
        request_timeout=0.001,
    )


@pytest.fixture
def client(strict, key):
    return client_of(strict, key)


def test_every_answer_tells_the_limit_what_is_left_and_when_it_begins_anew(client, photo):
    answers = [ask(client, photo) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert [answer.headers["X-RateLimit-Limit"] for answer in answers] == ["3"] * 4
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    for answer in answers:
        assert time.time() < int(answer.headers["X-RateLimit-Reset"]) <= time.time() + 86_401


def test_retry_after_is_told_where_it_helps_and_never_the_end_of_a_window(client, photo):
    accepted = ask(client, photo)
    assert accepted.headers["Retry-After"] == "2"
    assert int(accepted.headers["X-RateLimit-Reset-After"]) > 80_000
    assert "Retry-After" not in upload(client, photo).headers
    assert "Retry-After" not in client.post(ANALYSES, json={}).headers


def test_the_document_tells_the_headers_of_every_answer_to_what_is_limited(client):
    for path, operations in client.get("/openapi.json").json["paths"].items():
        answers = operations.get("post", {}).get("responses", {})
        limited = not path.endswith(("/cancel", "/pause", "/resume", "/retry"))
        for status in answers.keys() & {"200", "201", "202"}:
            assert (answers[status].get("headers", {}).keys() >= HEADERS) == limited, (path, status)


def test_what_is_too_much_is_a_429_in_the_envelope_that_says_when(client, photo):
    answer = [ask(client, photo) for _ in range(4)][-1]
    assert (answer.status_code, answer.json["error_code"]) == (429, "rate_limit_exceeded")
    assert "3 times per day" in answer.json["error"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 86_401
    assert answer.json["details"]["limit"] == "3/day"


def test_all_routes_that_submit_share_one_limit_and_reading_and_uploading_have_no_part_in_it(client, photo):
    assert ask(client, photo, "/api/v1/image/analyze").status_code == 202
    assert ask(client, photo, "/api/v1/batches", "images").status_code == 202
    assert ask(client, photo, "/api/v1/batch-analyze", "images").status_code == 202
    for route, name in (
        (ANALYSES, "file"),
        ("/api/v1/batches", "images"),
        ("/api/v1/batch-analyze", "images"),
        ("/api/v1/image/analyze-batch", "files"),
        ("/api/v1/image/analyze", "file"),
        ("/api/v1/image/analyze-with-context", "file"),
        ("/api/v1/analyze-product", "image"),
    ):
        assert ask(client, photo, route, name).status_code == 429, route
    assert client.get(ANALYSES).status_code == 200
    assert "X-RateLimit-Limit" not in client.get(ANALYSES).headers
    assert upload(client, photo).headers["X-RateLimit-Remaining"] == "4"


def test_uploads_have_a_limit_of_their_own(client, photo):
    assert [upload(client, photo).status_code for _ in range(6)] == [201] * 5 + [429]
    assert ask(client, photo).status_code == 202


def test_keys_are_counted_each_by_itself_even_those_of_one_account(strict, new_key, photo):
    for _ in range(2):
        client = client_of(strict, new_key(account="two keys"))
        assert [ask(client, photo).status_code for _ in range(4)][-2:] == [202, 429]


def test_a_key_may_have_a_limit_of_its_own_or_none(strict, new_key, photo):
    own = client_of(strict, new_key(rate_limit="1/day"))
    unlimited = client_of(strict, new_key(unlimited=True))
    assert [ask(own, photo).status_code for _ in range(2)] == [202, 429]
    answers = [ask(unlimited, photo) for _ in range(5)] + [upload(unlimited, photo) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {201, 202}
    assert not any("X-RateLimit-Limit" in answer.headers for answer in answers)


@pytest.mark.parametrize("limit", ["", "many", "0/minute", "5/fortnight", "5/minute;9/hour", "5", "-1/day"])
def test_a_key_cannot_be_made_with_a_limit_that_is_none(desk, limit):
    with pytest.raises(InvalidRequest, match="200/minute"):
        keys.create(desk, account="nobody", name="n", rate_limit=limit)


def test_processes_share_the_count(desk, new_key, photo):
    made = new_key(rate_limit="20/day")
    apps = [app_with(desk), app_with(desk)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(
            pool.map(lambda number: ask(client_of(apps[number % 2], made), photo).status_code, range(40))
        )
    assert (statuses.count(202), statuses.count(429)) == (20, 20)


def test_failures_of_authentication_are_limited_by_address_and_lock_no_valid_key_out(strict, key):
    def guess(address):
        return strict.test_client().get(
            ANALYSES, headers={"X-API-Key": "vt_wrong"}, environ_overrides={"REMOTE_ADDR": address}
        )

    assert [guess("192.0.2.1").status_code for _ in range(6)] == [401] * 4 + [429] * 2
    assert guess("192.0.2.2").status_code == 401
    signed_in = client_of(strict, key)
    signed_in.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    assert signed_in.get(ANALYSES).status_code == 200


def test_a_request_that_is_too_much_is_refused_before_its_body_is_read(quick):
    made = keys.create(quick.desk, account="impatient", name="n", rate_limit="1/day")
    host, _, port = quick.url.removeprefix("http://").partition(":")
    head = (
        f"POST {ANALYSES} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {made.secret}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 90000000\r\n\r\n"
    ).encode()
    assert quick.session(made.secret).post(quick.url + ANALYSES, json={}, timeout=30).status_code == 400
    with socket.create_connection((host, int(port)), timeout=9) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 429")


@pytest.fixture
def without_redis(desk, monkeypatch):
    """Make an app whose Redis is at this port."""
    monkeypatch.setattr(quiet, "SILENCE", 600.0)
    opened = []

    def make(port):
        settings = replace(desk.settings, redis_url=f"redis://127.0.0.1:{port}/0", rate_limit="3/day")
        opened.append(Desk.open(settings, name="tests"))
        return create_app(settings, opened[-1])

    yield make
    for each in opened:
        each.database.close()


def test_without_redis_submissions_are_accepted_and_limited_by_each_process(without_redis, key, photo):
    client = client_of(without_redis(free_port()), key)
    answers = [ask(client, photo) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]


def test_once_redis_answers_again_the_count_is_shared_again(desk, new_key, photo, monkeypatch):
    monkeypatch.setattr(quiet, "SILENCE", 0.5)
    made, silent = new_key(rate_limit="1000/day"), quiet.Quiet()
    client, other = (
        client_of(app_with(replace(desk, redis_quiet=silent)), made),
        client_of(app_with(desk), made),
    )

    def left(of):
        return int(ask(of, photo).headers["X-RateLimit-Remaining"])

    silent.begin()
    assert (left(other), left(client), left(other)) == (999, 999, 998)
    end, before = time.monotonic() + PATIENCE, 998
    while time.monotonic() < end:
        left(client)
        if (now := left(other)) == before - 2:
            return
        before = now
        time.sleep(0.1)
    pytest.fail("the count is still this process's own")


def test_a_redis_that_hangs_is_waited_for_once_and_not_by_each_request(without_redis, key, photo):
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        client = client_of(without_redis(server.getsockname()[1]), key)
        assert [ask(client, photo).status_code for _ in range(4)] == [202, 202, 202, 429]
        assert len(connections) == 1
        for connection in connections:
            connection.close()
        server.shutdown(socket.SHUT_RDWR)


def test_the_command_makes_and_lists_keys_with_limits(quick):
    made = quick.vitrine("keys", "create", "--account", "limits", "--rate-limit", "200/minute", "--quiet")
    assert made.returncode == 0, made.stderr
    quick.vitrine("keys", "create", "--account", "limits", "--unlimited")
    listed = quick.vitrine("keys", "list", "--account", "limits").stdout
    assert "200/minute" in listed
    assert "unlimited" in listed
    both = quick.vitrine("keys", "create", "--rate-limit", "1/day", "--unlimited")
    assert (both.returncode, "either" in both.stderr) == (2, True)
    wrong = quick.vitrine("keys", "create", "--rate-limit", "lots")
    assert (wrong.returncode, "200/minute" in wrong.stderr) == (1, True)
