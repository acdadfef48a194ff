"""What the tests of batches do over HTTP."""

import json

FINAL = {"completed", "cancelled", "expired"}


def submit(live, session, inputs, **order):
    order.setdefault("defaults", {"question": "What colour is it?"})
    answer = session.post(f"{live.url}/api/v1/batches", json={"inputs": inputs, **order}, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.json()


def look(live, session, batch_id):
    view = session.get(f"{live.url}/api/v1/batches/{batch_id}", timeout=30).json()
    counts = view["counts"]
    assert counts["total"] == sum(counts[name] for name in counts if name != "total")
    return view


def finished(live, session, batch_id):
    def final():
        view = look(live, session, batch_id)
        return view if view["status"] in FINAL else None

    return live.wait_for(final, every=0.3)


def act(live, session, batch_id, verb, **body):
    return session.post(f"{live.url}/api/v1/batches/{batch_id}/{verb}", json=body or None, timeout=30)


def read_stream(live, session, batch_id, last_id=None, most=None):
    """Events of a stream, and the last id; stops after so many events, as a broken connection would."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    events = []
    with session.get(
        f"{live.url}/api/v1/batches/{batch_id}/stream", headers=headers, stream=True, timeout=60
    ) as answer:
        assert answer.status_code == 200, answer.text
        block = {}
        for line in answer.iter_lines(decode_unicode=True):
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                block[name] = value
                continue
            if block:
                events.append((block["event"], json.loads(block["data"])))
                last_id = block.get("id", last_id)
                block = {}
            if (events and events[-1][0] == "done") or (most and len(events) >= most):
                break
    return events, last_id


def upload_photo(live, session, content):
    """The file id of a photo."""
    files = {"file": ("p.jpg", content, "image/jpeg")}
    return session.post(f"{live.url}/api/v1/files", files=files, timeout=30).json()["id"]


def paged(live, session, batch_id, limit=1_000):
    """All results, page by page."""
    rows, cursor = [], -1
    while cursor is not None:
        url = f"{live.url}/api/v1/batches/{batch_id}/results?limit={limit}&cursor={cursor}"
        page = session.get(url, timeout=30).json()
        rows += page["data"]
        cursor = page["next_cursor"]
    return rows


def calls_of(live, request_id):
    """What the endpoint was asked for a submission."""
    return [call for call in live.analyst.ledger(limit=100_000)["calls"] if call["request_id"] == request_id]
