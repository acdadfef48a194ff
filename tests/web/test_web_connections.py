"""What clients do to connections, and that nobody else feels it."""

import json
import socket
from contextlib import ExitStack

import pytest
import requests
from sqlalchemy import func, select
from waiting import wait_until
from webprocess import WebProcess

from core.models import Analysis, Batch, File


@pytest.fixture(scope="module")
def server(environment, folder):
    process = WebProcess(environment, folder)
    yield process
    process.stop()


def test_clients_that_do_not_hang_up_keep_nobody_waiting(server):
    request = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20)) for _ in range(100)
        ]
        for client in clients:
            client.sendall(request)
        for client in clients:
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert requests.get(f"{server.url}/health", timeout=60).status_code == 200
        wait_until(lambda: server.open_sockets() < len(clients))  # they are closed, whatever the clients do


BORDER = "border"
PART = f'--{BORDER}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nsome of it'
BEGINNINGS = {
    "/v1/chat/completions": '{"messages": [',
    "/v1/embeddings": '{"input": ',
    "/v1/batches": '{"endpoint": ',
    "/v1/files": PART,
    "/api/v1/analyses": PART,
    "/api/v1/files": PART,
}
"""What a body begins with, by path."""


@pytest.mark.parametrize("then", ["ZZ\r\n", "-1\r\n", "3\r\nabcNO", "0\r\nnot a trailer\r\n\r\n"])
@pytest.mark.parametrize("path", BEGINNINGS)
def test_chunks_that_are_none_are_a_400_and_an_end_and_leave_nothing(server, new_key, desk, path, then):
    key, begin = new_key(unlimited=True), BEGINNINGS[path]
    kind = f"multipart/form-data; boundary={BORDER}" if begin == PART else "application/json"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.secret}\r\n"
        f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(f"{head}{len(begin):x}\r\n{begin}\r\n{then}".encode())
        with connection.makefile("rb") as answer:
            status, *_, body = answer.read().splitlines()  # until it hangs up
    assert status.split()[1] == b"400"
    error = json.loads(body)["error"]
    assert "chunks" in (error["message"] if path.startswith("/v1") else error)
    with desk.database.transaction() as session:
        for made in (Analysis, Batch, File):
            mine = select(func.count()).where(made.account_id == key.key.account_id)
            assert session.scalar(mine.select_from(made)) == 0
