"""What clients do to connections, and that nobody else feels it."""

import socket
from contextlib import ExitStack

import pytest
import requests
from waiting import wait_until
from webprocess import WebProcess


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
