"""As large an input as is taken: 50,000 lines, 200 MB."""

import json

import pytest
import requests
from line_client import line
from webprocess import WebProcess

LINES, LARGEST = 50_000, 200_000_000
MOST_MEMORY = 60_000_000
"""31 MB were measured: the custom ids, and what one line and one piece of the file take."""


class Input:
    """A file that is made while it is sent."""

    def __init__(self, lines):
        empty = len(json.dumps(line("n00000", text=""))) + 1
        self._text = "x" * (LARGEST // LINES - empty)
        self._lines = lines

    def __iter__(self):
        yield b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.jsonl"\r\n\r\n'
        for number in range(self._lines):
            yield json.dumps(line(f"n{number:05}", text=self._text)).encode() + b"\n"
        yield b"\r\n--b--\r\n"


@pytest.fixture
def web(environment, tmp_path):
    process = WebProcess(environment, tmp_path)
    yield process
    process.stop()


@pytest.mark.slow
def test_fifty_thousand_lines_of_200_megabytes_are_accepted_with_flat_memory(web, new_key):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {new_key(unlimited=True).secret}"
    form = {"Content-Type": "multipart/form-data; boundary=b"}

    def accepted():
        file = session.post(f"{web.url}/v1/files", data=iter(Input(LINES)), headers=form, timeout=300).json()
        assert file["bytes"] == LARGEST, file
        order = {
            "input_file_id": file["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        }
        return session.post(f"{web.url}/v1/batches", json=order, timeout=300).json()

    batch, risen = web.most_memory_during(accepted)
    assert (batch["status"], batch["request_counts"]["total"]) == ("in_progress", LINES)
    assert risen < MOST_MEMORY
