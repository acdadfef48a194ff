"""A web process that is told to stop: nothing accepted is lost, and nobody waits in vain."""

import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from waiting import wait_until
from webprocess import WebProcess

CLOSING = b"\r\n--b--\r\n"


@pytest.fixture
def server(environment, folder):
    process = WebProcess(environment, folder, WEB_PROCESSES="2", WEB_THREADS="40")
    yield process
    process.stop()


@pytest.fixture
def key(new_key):
    """A key without a rate limit: under load these tests submit more often than a client may."""
    return new_key(unlimited=True)


@pytest.fixture
def signed_in(key):
    return {"Authorization": f"Bearer {key.secret}"}


def submit(server, signed_in, photo, session=requests, **fields):
    return session.post(
        f"{server.url}/api/v1/analyses",
        headers=signed_in,
        files={"file": ("p.jpg", photo())},
        data={"question": "?!", **fields},
        timeout=60,
    )


def waiting(client):
    """The analyses of the client's account."""
    return client.get("/api/v1/analyses?limit=100").json["data"]


def test_who_waits_when_it_stops_is_answered_and_finds_the_analysis_later(server, photo, client, signed_in):
    with ThreadPoolExecutor(20) as pool:
        posts = [pool.submit(submit, server, signed_in, photo, wait=60) for _ in range(20)]
        wait_until(lambda: len(waiting(client)) == 20)
        server.stop()  # fails where it is not over before its graceful timeout
        answers = [post.result() for post in posts]
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["id"] for answer in answers} == {row["id"] for row in waiting(client)}
    assert all(answer.headers["Location"] and answer.headers["Retry-After"] for answer in answers)


def test_under_load_every_request_is_answered_or_refused_and_what_was_promised_is_there(
    server, photo, client, signed_in
):
    stopping, over = threading.Event(), threading.Event()
    promised, refused = set(), []

    def keep_posting(number):
        session = requests.Session()
        while not over.is_set():
            try:
                answer = submit(server, signed_in, photo, session, wait=number % 3)
            except requests.ConnectionError as error:
                refused.append(error)
                return
            if answer.status_code == 503 and answer.headers["Retry-After"]:
                assert stopping.is_set(), answer.text  # before, there is nothing to refuse it for
                refused.append(answer)
                continue
            assert answer.status_code == 202, answer.text
            promised.add(answer.json()["id"])

    with ThreadPoolExecutor(12) as pool:
        loads = [pool.submit(keep_posting, number) for number in range(12)]
        wait_until(lambda: len(promised) > 24)
        stopping.set()
        server.stop()
        over.set()
        for one in loads:
            one.result()
    kept, page = set(), client.get("/api/v1/analyses?limit=100").json
    while True:
        kept |= {row["id"] for row in page["data"]}
        if not page["has_more"]:
            break
        page = client.get(f"/api/v1/analyses?limit=100&cursor={page['next_cursor']}").json
    assert promised <= kept


def test_an_upload_that_is_on_its_way_is_finished(server, signed_in, client):
    head = (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jsonl"\r\n\r\n'
    )
    rows = b'{"custom_id": "1"}\n' * 40_000
    body = head + rows + CLOSING
    request = (
        f"POST /api/v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: {signed_in['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", server.port), 30) as client_:
        client_.sendall(request + body[:400_000])
        time.sleep(0.5)  # it has begun to read
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        wait_until(lambda: not server.takes_connections())
        client_.sendall(body[400_000:])
        answer = b""
        while piece := client_.recv(65_536):
            answer += piece
        stopper.join()
    assert answer.startswith(b"HTTP/1.1 201")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["file_size"] == len(rows)


def test_a_kept_connection_is_told_that_it_stops_and_new_ones_are_refused(server, signed_in, photo):
    with requests.Session() as session, ThreadPoolExecutor(1) as pool:
        assert session.get(f"{server.url}/health", timeout=20).json() == {"status": "ok"}
        # Held by a request that is slow to come in, so that there is a time to look at.
        with socket.create_connection(("127.0.0.1", server.port), 20) as slow:
            slow.sendall(b"POST /api/v1/files HTTP/1.1\r\nHost: x\r\nContent-Le")
            time.sleep(0.2)
            stopped = pool.submit(server.stop)
            wait_until(lambda: not server.takes_connections())
            answer = session.get(f"{server.url}/health", timeout=20)
            assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
            assert answer.headers["Connection"] == "close"
        stopped.result()


def test_a_stream_ends_with_a_word_and_goes_on_elsewhere(server, environment, folder, photo, key, client):
    header = {"Authorization": f"Bearer {key.secret}"}
    file = client.post("/api/v1/files", data={"file": (io.BytesIO(photo()), "p.jpg")}).json
    item = {"question": "?!", "image": {"file_id": file["id"]}}
    made = client.post("/api/v1/batches", json={"inputs": [item]})
    assert made.status_code == 202, made.text
    place = f"/api/v1/batches/{made.json['id']}/stream"
    with requests.get(server.url + place, headers=header, stream=True, timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b"event: status"
        server.stop()
        rest = list(lines)
    assert b"event: closing" in rest
    assert b"retry: 1000" in rest
    assert b"event: done" not in rest
    elsewhere = WebProcess(environment, folder)
    try:
        with requests.get(elsewhere.url + place, headers=header, stream=True, timeout=60) as stream:
            assert next(stream.iter_lines()) == b"event: status"
    finally:
        elsewhere.stop()
