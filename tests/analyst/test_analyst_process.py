"""The analyst as a process: how it starts, refuses to start, and stops."""

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]


def _run(*flags):
    command = [sys.executable, "-m", "local.analyst", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_it_says_in_one_line_where_it_listens(running):
    assert re.fullmatch(r"pixel analyst on http://127\.0\.0\.1:\d+/v1\n", running.line)


def test_a_busy_port_is_one_clear_sentence_and_exit_code_1(running):
    port = running.root.rsplit(":", 1)[1]
    ended = _run("--port", port)
    assert ended.returncode == 1
    expected = f"The pixel analyst cannot start: 127.0.0.1 port {port}: Address already in use.\n"
    assert ended.stderr == expected


def test_a_knob_out_of_range_is_one_clear_sentence_and_exit_code_1():
    ended = _run("--port", "0", "--error-rate", "3")
    assert ended.returncode == 1
    assert ended.stderr == "The pixel analyst cannot start: error_rate must be from 0 to 1.\n"


def test_help_names_every_knob(running):
    text = _run("--help").stdout
    assert all(f"--{name.replace('_', '-')}" in text for name in running.defaults)


def test_it_stops_quickly_and_quietly_with_calls_open(start, body):
    analyst = start("--hang-rate", "1")

    def ask():
        try:
            analyst.post(body("Hello"))
        except requests.ConnectionError:
            dropped.set()

    dropped = threading.Event()
    client = threading.Thread(target=ask)
    client.start()
    while not analyst.ledger()["count"]:
        time.sleep(0.01)
    started = time.monotonic()
    code, err = analyst.stop()
    assert (code, err) == (0, "")
    assert time.monotonic() - started < 10
    client.join(5)
    assert dropped.is_set()


def test_flags_set_knobs_and_the_ledger_file_has_a_line_per_call(start, tmp_path, square):
    file = tmp_path / "calls.jsonl"
    analyst = start("--latency", "0.01", "--ledger", str(file))
    assert analyst.defaults["latency"] == 0.01
    analyst.ask("Colour?", square)
    analyst.ask("Hello")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == analyst.ledger()["calls"]


def test_images_are_not_offered_unless_asked_for(start, square):
    analyst = start()
    analyst.ask("Colour?", square)
    digest = analyst.ledger()["calls"][0]["images"][0]["sha256"]
    reply = requests.get(f"{analyst.root}/control/ledger/images/{digest}", timeout=5)
    assert reply.status_code == 404
