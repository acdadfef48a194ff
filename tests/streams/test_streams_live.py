"""Streams of the live system: two web processes, two workers, real clients."""

import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import redis
import requests
from openai import OpenAI
from typist import events, stages_of, text_of

CUT_STREAMS, AT_ONCE = 100, 12


def ask(live, session, photo, last="", **fields):
    """Submit with a stream; an answer whose body is still to be read."""
    files = {"file": ("photo.jpg", photo(), "image/jpeg")}
    fields = {"question": "What colour is it?", **fields}
    headers = {"Last-Event-ID": last} if last else {}
    url = f"{live.url}/api/v1/image/analyze-stream"

    def open_one():
        answer = session.post(url, data=fields, files=files, headers=headers, stream=True, timeout=60)
        return None if answer.status_code == 503 else answer  # there are as many streams as there may be

    answer = live.wait_for(open_one)
    assert answer.status_code == 200, answer.text
    return answer


def follow(live, session, analysis_id, last):
    url = f"{live.url}/api/v1/analyses/{analysis_id}/stream"

    def open_one():
        answer = session.get(url, headers={"Last-Event-ID": last} if last else {}, stream=True, timeout=60)
        return None if answer.status_code == 503 else answer

    return live.wait_for(open_one)


def id_of(answer):
    return answer.headers["Location"].rsplit("/", 1)[1]


def pieces(answer):
    """What a client reads, as it arrives, on a connection of its own."""
    with answer:
        yield from answer.iter_content(None)


def some(answer, most):
    """The events in the first so many bytes, whatever stands half behind them."""
    left = most

    def limited():
        nonlocal left
        for piece in pieces(answer):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    return list(events(limited()))


def stored(live, session, analysis_id):
    return session.get(f"{live.url}/api/v1/analyses/{analysis_id}", timeout=30).json()


def in_pieces(live, session, photo, number):
    """One stream that is cut at random places and resumed; what was told, and what is stored."""
    rng = random.Random(number)
    answer = ask(live, session, photo)
    analysis_id = id_of(answer)
    seen = some(answer, rng.randrange(1, 3_000))
    while not seen or seen[-1].name != "done":
        answer = follow(live, session, analysis_id, seen[-1].id if seen else "")
        seen += some(answer, rng.randrange(1, 3_000))
    return seen, stored(live, session, analysis_id)


def test_a_hundred_streams_cut_at_random_places_are_the_stored_answers_byte_for_byte(quick, photo):
    quick.analyst.turn(token_pace=0.01, repeats=4)
    session = quick.session()

    def one(number):
        with quick.session_of(session) as own:
            return in_pieces(quick, own, photo, number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for seen, analysis in pool.map(one, range(CUT_STREAMS)):
            assert text_of(seen).encode() == analysis["answer"].encode()
            assert len(analysis["answer"]) > 100
            stages = stages_of(seen)
            assert all(before != after for before, after in pairwise(stages))
            assert [event.name for event in seen[-2:]] == ["result", "done"]


def test_curl_shows_the_events_as_they_come(quick, photo, tmp_path):
    quick.analyst.turn(token_pace=0.05)
    image = tmp_path / "photo.jpg"
    image.write_bytes(photo())
    session = quick.session()
    command = [
        *("curl", "-sN", "-H", f"Authorization: {session.headers['Authorization']}"),
        *("-F", f"file=@{image}", "-F", "question=What colour is it?"),
        f"{quick.url}/api/v1/image/analyze-stream",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        seen = list(events(curl.stdout))
    first = next(event for event in seen if event.name == "token")
    analysis_id = seen[0].data["id"]
    assert text_of(seen) == stored(quick, session, analysis_id)["answer"] != first.data["text"]
    assert seen[-1].name == "done"


def test_the_openai_sdk_reads_a_stream_of_the_same_mechanism_piece_by_piece(quick):
    quick.analyst.turn(token_pace=0.02)
    key = quick.session().headers["Authorization"].removeprefix("Bearer ")
    client = OpenAI(base_url=f"{quick.url}/v1", api_key=key, timeout=60, max_retries=0)
    chunks = list(
        client.chat.completions.create(
            model="pixel-analyst", messages=[{"role": "user", "content": "Who are you?"}], stream=True
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    session = quick.session(key)
    [row] = session.get(f"{quick.url}/api/v1/analyses", timeout=30).json()["data"]
    assert "".join(texts) == row["answer"]
    assert len(texts) > 5
    again = list(events(pieces(follow(quick, session, row["id"], ""))))
    assert text_of(again) == row["answer"]


def test_redis_wiped_in_the_middle_of_a_stream_costs_nobody_a_token(quick, photo):
    quick.analyst.turn(token_pace=0.1, repeats=2)
    session = quick.session()
    told = events(pieces(ask(quick, session, photo)))
    seen = [next(told)]
    while seen[-1].name != "token":
        seen.append(next(told))
    redis.Redis.from_url(quick.environment["REDIS_URL"]).flushdb()
    seen += told
    assert text_of(seen) == stored(quick, session, seen[0].data["id"])["answer"]
    assert [event.name for event in seen[-2:]] == ["result", "done"]


@pytest.mark.parametrize("on_leave", ["continue", "cancel"])
def test_a_client_that_hangs_up_leaves_or_cancels_as_it_said(quick, photo, on_leave):
    quick.analyst.turn(token_pace=0.3)
    session = quick.session()
    answer = ask(quick, session, photo, on_leave=on_leave)
    told = events(pieces(answer))
    seen = [next(told)]
    while seen[-1].name != "token":
        seen.append(next(told))
    answer.close()
    session.close()

    def ended():
        row = stored(quick, session, seen[0].data["id"])
        return row if row["completed_at"] and row["answer"] else None

    row = quick.wait_for(ended)
    assert row["status"] == {"continue": "completed", "cancel": "cancelled"}[on_leave]
    assert row["answer"].startswith(text_of(seen))


def test_a_worker_killed_in_the_middle_of_a_stream_costs_nobody_a_token(quick, photo):
    """Another takes over; an answer that begins as the first did is told on from there."""
    quick.analyst.turn(token_pace=0.5)
    session = quick.session()
    others = [name for name in quick.processes if name.startswith("worker")]
    for name in others:
        quick.stop(name)
    try:
        quick.start_doomed()
        told = events(pieces(ask(quick, session, photo)))
        seen = [next(told)]
        while sum(event.name == "token" for event in seen) < 2:
            seen.append(next(told))
        quick.kill("doomed")
    finally:
        for name in others:
            quick.start_worker(name)
    quick.analyst.turn(token_pace=0.01)
    seen += told
    row = stored(quick, session, seen[0].data["id"])
    assert text_of(seen) == row["answer"]
    assert (seen[-2].name, seen[-2].data["streamed"], row["status"]) == ("result", True, "completed")
    assert len(quick.analyst.ledger()["calls"]) == 2


def test_a_stream_that_has_no_place_is_told_so_before_anything_is_asked(quick, photo):
    quick.analyst.turn(token_pace=0.5)
    session = quick.session()
    url = f"{quick.url}/api/v1/image/analyze-stream"

    def post():
        files = {"file": ("photo.jpg", photo(), "image/jpeg")}
        return requests.post(
            url, headers=session.headers, data={"question": "?!"}, files=files, stream=True, timeout=60
        )

    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda _: post(), range(60)))
    statuses = [answer.status_code for answer in answers]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert (set(statuses), refused.headers["Retry-After"]) == ({200, 503}, "10")
    rows = session.get(f"{quick.url}/api/v1/analyses?limit=100", timeout=30).json()["data"]
    assert len(rows) == statuses.count(200)
    for answer in answers:
        answer.close()
    for row in rows:
        session.post(f"{quick.url}/api/v1/analyses/{row['id']}/cancel", timeout=30)


def test_the_description_of_the_api_names_both_streams(quick):
    paths = requests.get(f"{quick.url}/openapi.json", timeout=30).json()["paths"]
    for path, method in (
        ("/api/v1/image/analyze-stream", "post"),
        ("/api/v1/analyses/{analysis_id}/stream", "get"),
    ):
        answers = paths[path][method]["responses"]
        assert "`token`" in answers["200"]["description"]
        assert {"204", "400", "401", "503"} <= answers.keys()
        assert "Last-Event-ID" in json.dumps(paths[path][method]["parameters"])
