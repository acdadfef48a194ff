"""What Prometheus reads: true over all processes, in its format, and no business of strangers."""

import dataclasses
import io
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from waiting import wait_until
from webprocess import WebProcess

from core import metrics
from core.desk import Desk
from core.pricing import Cost, Usage
from core.services import load
from local.ports import free_port
from webapp.app import create_app
from worker.exposition import Exposition

UNITS = ("seconds", "bytes", "usd")
SUFFIX = {"counter": "_total", "histogram": "_seconds"}
IDS = re.compile(r"\b(an|batch|file|key|acct|req|call)_[0-9a-z]{20}|shop_|vt_|sk-")


def samples(text):
    """Every sample of an exposition: (name, sorted labels) to value; none twice."""
    found = {}
    for family in parse(text):
        for sample in family.samples:
            place = (sample.name, tuple(sorted(sample.labels.items())))
            assert place not in found, place
            found[place] = sample.value
    return found


def value(text, name, **labels):
    return samples(text).get((name, tuple(sorted(labels.items()))), 0.0)


def read(url, **headers):
    answer = requests.get(f"{url}/metrics", headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture(scope="module")
def server(environment, folder):
    process = WebProcess(environment, folder, WEB_PROCESSES="2")
    yield process
    process.stop()


def submit(client, photo, **fields):
    data = {"file": (io.BytesIO(photo()), "p.jpg"), "question": "?!", **fields}
    answer = client.post("/api/v1/analyses", data=data)
    assert answer.status_code == 202, answer.text
    return answer.json["id"]


def test_the_exposition_parses_in_both_formats_and_keeps_to_the_conventions(client, photo):
    submit(client, photo)
    text = client.get("/metrics").text
    assert samples(text)
    opened = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert opened.content_type.startswith("application/openmetrics-text")
    assert list(parse_open(opened.text))
    ours = [family for family in parse(text) if family.name.startswith("vitrine_")]
    assert len(ours) > 15
    for family in ours:
        assert family.documentation.endswith(".")
        assert re.fullmatch("vitrine_[a-z]+(_[a-z]+)*", family.name)
        assert family.type in {"counter", "histogram", "gauge"}
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_milliseconds", "_ms"))
        if family.type == "histogram":
            assert family.name.endswith(UNITS)


def test_what_is_counted_names_nobody_and_no_path(client, photo):
    found = submit(client, photo)
    client.get(f"/api/v1/analyses/{found}")
    client.get("/made/up/path")
    client.open("/made/up/path", method="BREW")
    text = client.get("/metrics").text
    assert not IDS.search(text)
    assert "made/up" not in text
    assert "BREW" not in text
    assert 'route="/api/v1/analyses/<id(an):analysis_id>"' in text


def test_a_model_that_is_not_served_any_more_is_one_of_the_others():
    other = metrics.TOKENS.labels("prompt", "other")
    before = other._value.get()
    usage = Usage(prompt_tokens=10, completion_tokens=5, cached_tokens=99, reasoning_tokens=99)
    metrics.count_usage("made-up", ["served"], usage, None)
    assert other._value.get() == before  # all of them were cached, and never more than there were
    metrics.count_usage("made-up", ["served"], dataclasses.replace(usage, cached_tokens=4), Cost(1, 2))
    assert other._value.get() == before + 6
    assert "made-up" not in str(list(metrics.TOKENS.collect()))


@pytest.mark.parametrize(
    ("token", "given", "address", "proxied", "status"),
    [
        ("", {}, "127.0.0.1", {}, 200),
        ("", {}, "::1", {}, 200),
        ("", {}, "10.0.0.7", {}, 403),
        ("", {}, "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 403),
        ("tell-me", {"Authorization": "Bearer tell-me"}, "10.0.0.7", {}, 200),
        ("tell-me", {}, "127.0.0.1", {}, 401),
        ("tell-me", {"Authorization": "Bearer tell-mé"}, "127.0.0.1", {}, 401),
        ("tell-me", {"Authorization": "Basic tell-me"}, "127.0.0.1", {}, 401),
    ],
)
def test_only_who_may_reads_the_metrics(settings, desk, token, given, address, proxied, status):
    own = dataclasses.replace(settings, metrics_token=token)
    strangers = create_app(own, dataclasses.replace(desk, settings=own)).test_client()
    answer = strangers.get("/metrics", headers=given | proxied, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status


def test_what_waits_and_what_runs_is_told_as_the_database_has_it(desk, client, photo, monkeypatch):
    monkeypatch.setattr(load, "KEPT_SECONDS", 0)
    before = client.get("/metrics").text
    submit(client, photo)
    after = client.get("/metrics").text
    depth = {"name": "vitrine_queue_depth", "queue": "interactive"}
    assert value(after, **depth) == value(before, **depth) + 1
    assert value(after, "vitrine_queue_oldest_seconds", queue="interactive") >= 0
    assert value(after, "vitrine_dependency_up", dependency="database") == 1


def test_many_who_ask_cost_one_look(client, monkeypatch):
    looks = []
    monkeypatch.setattr(load, "_work", looks.append)
    lookout = load.Lookout(None)
    monkeypatch.setattr(load, "_messages", lambda _: None)
    for _ in range(5):
        lookout.look()
    assert len(looks) == 1


def test_without_postgres_and_redis_the_rest_is_told(settings):
    away = dataclasses.replace(
        settings,
        database_url="postgresql+psycopg://nobody@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
    )
    answer = create_app(away, Desk.open(away, name="away")).test_client().get("/metrics")
    assert answer.status_code == 200
    assert value(answer.text, "vitrine_dependency_up", dependency="database") == 0
    assert value(answer.text, "vitrine_dependency_up", dependency="redis") == 0
    assert "vitrine_queue_depth" not in answer.text
    assert "vitrine_submissions_total" in answer.text


def test_counts_add_up_over_web_processes_and_survive_the_death_of_one(server, new_key, photo):
    key = new_key(unlimited=True)
    minder = psutil.Process(server.pid).parent()
    assert len(minder.children()) == 2
    for _ in range(20):
        answer = requests.post(
            f"{server.url}/api/v1/analyses",
            headers={"Authorization": f"Bearer {key.secret}", "Connection": "close"},
            files={"file": ("p.jpg", photo())},
            data={"question": "?!"},
            timeout=20,
        )
        assert answer.status_code == 202
    assert value(read(server.url), "vitrine_submissions_total", kind="analysis") == 20
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(server.pid))
    wait_until(lambda: len(minder.children()) == 2)
    assert value(read(server.url), "vitrine_submissions_total", kind="analysis") == 20


def test_the_folder_of_counts_is_private_in_memory_and_goes_with_the_server(environment, folder):
    process = WebProcess(environment, folder)
    environ = Path(f"/proc/{process.pid}/maps").read_text()
    [counts] = {Path(path).parent for path in re.findall(r"/\S*/vitrine-metrics-\w+/\w+\.db", environ)}
    assert counts.stat().st_mode & 0o777 == 0o700
    process.stop()
    assert not counts.exists()


def test_a_worker_serves_its_own_counts_to_who_has_the_token():
    door = Exposition("127.0.0.1", 0, "tell-me")
    url = f"http://127.0.0.1:{door.port}"
    try:
        assert "vitrine_leases_swept_total" in read(url, Authorization="Bearer tell-me")
        assert requests.get(f"{url}/metrics", timeout=5).status_code == 401
        assert requests.get(f"{url}/elsewhere", timeout=5).status_code == 404
    finally:
        door.close()


def test_a_worker_whose_port_is_taken_works_without(settings):
    door = Exposition("127.0.0.1", 0, "")
    try:
        assert Exposition.open(dataclasses.replace(settings, metrics_port=door.port)) is None
        assert Exposition.open(dataclasses.replace(settings, metrics_port=0)) is None
    finally:
        door.close()


def test_web_and_worker_that_share_a_folder_are_told_as_one(live, photo, tmp_path):
    live.analyst.reset()
    shared = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    port = free_port()
    live.start_worker("counting", METRICS_PORT=str(port), **shared)
    web = WebProcess(live.environment, tmp_path, WEB_PROCESSES="2", **shared)
    try:
        session = live.session()

        def answered():
            """Some worker does each of them: ask until it was the one that counts."""
            body = {"file": ("p.jpg", photo())}
            found = session.post(
                f"{web.url}/api/v1/analyses",
                files=body,
                data={"question": "?!", "wait": 30, "cache": "off"},
            )
            assert found.json()["status"] == "completed", found.text
            return value(read(web.url), "vitrine_analyses_total", outcome="completed", error_code="")

        wait_until(answered)
        alone = read(f"http://127.0.0.1:{port}")
        together = read(web.url)
        for name, labels in (
            ("vitrine_endpoint_responses_total", {"status": "200"}),
            ("vitrine_endpoint_call_duration_seconds_count", {}),
            ("vitrine_preparation_duration_seconds_count", {}),
            ("vitrine_tokens_total", {"kind": "prompt", "model": "pixel-analyst"}),
        ):
            assert value(together, name, **labels) == value(alone, name, **labels) > 0
        assert value(together, "vitrine_workers") >= 1
        live.kill("counting")
        name, labels = "vitrine_endpoint_responses_total", {"status": "200"}
        assert value(read(web.url), name, **labels) == value(together, name, **labels)
    finally:
        web.stop()
        if "counting" in live.processes:
            live.stop("counting")
