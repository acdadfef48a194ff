"""vitrine batch when the way to the server breaks, and what nobody may see of it."""

import json
import random
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

ID = "batch_01kaj3c0dpw8w0z3f6s9q2xk7v"
EVENT_STREAM = {"Content-Type": "text/event-stream"}


def batch(completed, status="running", total=3, **more):
    counts = {"total": total, "completed": completed, "pending": total - completed}
    return {
        "id": ID,
        "object": "batch",
        "status": status,
        "reason": None,
        "counts": {"failed": 0, "cancelled": 0, "expired": 0, **counts},
        "cost": {"total_cost": 0.5, "currency": "USD"},
        "usage": {"total_tokens": 12},
        "projection": None,
        "request_id": "req_1",
        **more,
    }


def event(name, data, event_id=None):
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


DONE = event("status", batch(3, "completed")) + event("done", batch(3, "completed"))
LINE = b'{"custom_id": "a"}\n'


@pytest.fixture
def server(scripted):
    """Answers by path; a list is taken one after the other, its last one again and again."""
    answers = {
        f"GET /api/v1/batches/{ID}/stream": [(200, DONE, EVENT_STREAM)],
        f"GET /api/v1/batches/{ID}": [(200, batch(3, "completed"), {})],
        f"GET /api/v1/batches/{ID}/results?format=ndjson": [(200, LINE, {})],
    }

    def answer():
        method, path, _ = scripted.asked[-1]
        queue = answers[f"{method} {path}"]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    scripted.answers.append(lambda: (found := answer()) and (found() if callable(found) else found))
    scripted.by_path = answers
    return scripted


def asked(server, suffix):
    return [headers for _, path, headers in server.asked if path.endswith(suffix)]


def test_a_stream_that_is_cut_goes_on_behind_its_last_event(scripted_user, server):
    item, status = event("item", {}, "7.0"), event("status", batch(1))
    server.by_path[f"GET /api/v1/batches/{ID}/stream"][:0] = [
        (200, item + status, EVENT_STREAM),
        None,
        (200, status[:30], EVENT_STREAM),
    ]
    done = scripted_user("batch", "watch", ID, "--out", "r.jsonl")
    assert done.returncode == 0, done.stderr
    places = [headers.get("Last-Event-ID") for headers in asked(server, "/stream")]
    assert places == [None, "7.0", "7.0", "7.0"]
    assert done.stderr.count("Looking again in") == 3
    assert (scripted_user.folder / "r.jsonl").read_bytes() == LINE


def test_a_server_without_a_stream_to_spare_is_polled(scripted_user, server, refusal):
    full = (503, refusal("unavailable", "Too many streams."), {"Retry-After": "10"})
    server.by_path[f"GET /api/v1/batches/{ID}/stream"][:] = [full]
    done = scripted_user("batch", "watch", ID, "--json")
    assert (done.returncode, done.stdout.encode()) == (0, LINE)


def test_a_proxy_that_stands_in_for_a_moment_is_waited_out(scripted_user, server):
    server.by_path[f"GET /api/v1/batches/{ID}/stream"].insert(0, (502, b"Bad Gateway", {}))
    assert scripted_user("batch", "watch", ID, "--json").returncode == 0


def test_results_that_break_off_are_fetched_anew_and_never_look_whole(scripted_user, server):
    seen = []

    def broken():
        seen.append((scripted_user.folder / "r.jsonl").exists())
        return 200, LINE * 3, {"Content-Length": str(10_000)}

    server.by_path[f"GET /api/v1/batches/{ID}/results?format=ndjson"].insert(0, broken)
    done = scripted_user("batch", "watch", ID, "--out", "r.jsonl")
    assert done.returncode == 0, done.stderr
    assert seen == [False]
    assert "Fetching the results again" in done.stderr
    assert (scripted_user.folder / "r.jsonl").read_bytes() == LINE
    assert [path.name for path in scripted_user.folder.iterdir()] == ["r.jsonl"]


def test_a_server_that_goes_away_for_good_is_told_with_how_to_go_on(scripted_user):
    scripted_user.environment["VITRINE_URL"] = "http://127.0.0.1:9"
    process = scripted_user.start("batch", "watch", ID, "--out", "my results.csv")
    assert b"Looking again in 1 s." in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    done = scripted_user.end(process)
    assert done.returncode == 130
    assert f"vitrine batch watch {ID} --out 'my results.csv'" in done.stderr


@pytest.fixture
def submitting(server):
    """A server that takes files and batches."""
    server.by_path["POST /api/v1/files"] = [(201, {"id": "file_01kaj3c0dpw8w0z3f6s9q2xk7v"}, {})]
    server.by_path["POST /api/v1/batches"] = [(400, rehearsed(), {}), (202, batch(0), {})]
    return server


def rehearsed():
    errors = [{"line": 1, "custom_id": "item-1", "field": "images", "error": "Give 1 to 10 images."}]
    return {
        "success": False,
        "error": "1 problem",
        "error_code": "invalid_request",
        "details": {"errors": errors},
    }


def test_a_batch_whose_line_broke_is_sent_again_under_the_same_key(scripted_user, submitting, photo):
    submitting.by_path["POST /api/v1/batches"].insert(1, None)
    scripted_user.write("photos/a.jpg", photo())
    assert scripted_user("batch", "photos", "--question", "?!", "--json").returncode == 0
    rehearsal, *tries = [headers.get("Idempotency-Key") for headers in asked(submitting, "/batches")]
    assert rehearsal is None
    assert len(tries) == 2
    assert len(set(tries)) == 1


def test_an_upload_that_breaks_off_is_sent_again(scripted_user, submitting, photo):
    submitting.by_path["POST /api/v1/files"].insert(0, None)
    scripted_user.write("photos/a.jpg", photo())
    done = scripted_user("batch", "photos", "--question", "?!", "--json")
    assert done.returncode == 0, done.stderr
    assert "Sending again in 1 s." in done.stderr


def test_ctrl_c_while_images_are_sent_submits_nothing(scripted_user, submitting, photo):
    submitting.slowly = 0.2
    for number in range(20):
        scripted_user.write(f"photos/{number}.jpg", photo() + random.Random(number).randbytes(2_000_000))
    process = scripted_user.start("batch", "photos", "--question", "?!")
    done = scripted_user.interrupt(process, lambda: asked(submitting, "/files"))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "vitrine: Stopped before anything was submitted.\n"
    assert len(asked(submitting, "/batches")) == 1, "the rehearsal"


def test_a_key_that_does_not_open_is_said_once(scripted_user, submitting, refusal, photo):
    submitting.by_path["POST /api/v1/batches"][:] = [(401, refusal("authentication_error", "No."), {})]
    for number in range(20):
        scripted_user.write(f"photos/{number}.jpg", photo())
    done = scripted_user("batch", "photos", "--question", "?!")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "does not accept the API key" in done.stderr


def test_what_a_terminal_would_obey_is_not_printed(scripted_user, server):
    line = json.dumps({"custom_id": "\x1b[31m\u202e", "answer": "\x9b2J"}, ensure_ascii=False)
    server.by_path[f"GET /api/v1/batches/{ID}/results?format=ndjson"][:] = [(200, f"{line}\n".encode(), {})]
    done = scripted_user("batch", "watch", ID, "--json")
    assert json.loads(done.stdout) == json.loads(line)
    assert not re.search(r"[\x1b\x9b\u202e]", done.stdout)


def test_many_results_take_no_more_memory_than_one(scripted_user, server):
    """The peak of the process, read while it waits for a server that keeps the last byte back."""

    def peak(lines):
        listener = socket.create_server(("127.0.0.1", 0))
        written, go_on = threading.Event(), threading.Event()
        body = LINE * 50 * lines

        def serve():
            for answer in (DONE, json.dumps(batch(3, "completed")).encode()):
                connection, _ = listener.accept()
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + answer)
                connection.close()
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"%x\r\n%s\r\n" % (len(LINE) * 50, LINE * 50) * lines
            )
            written.set()
            go_on.wait(60)
            connection.sendall(b"0\r\n\r\n")
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        scripted_user.environment["VITRINE_URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = scripted_user.start("batch", "watch", ID, "--out", "r.jsonl", "--force")
        assert written.wait(60)
        highest = int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1])
        go_on.set()
        assert scripted_user.end(process).returncode == 0
        assert (scripted_user.folder / "r.jsonl").stat().st_size == len(body)
        return highest * 1024

    assert peak(60_000) < peak(1) + 8_000_000
