"""What every answer of the web tier keeps to: pages, envelopes, request ids, the document."""

import dataclasses
import re
from io import BytesIO

import pytest
from openapi_spec_validator import validate

from webapp.app import create_app


def submit(client, photo, **fields):
    data = {"file": (BytesIO(photo()), "photo.jpg"), "question": "?!", **fields}
    return client.post("/api/v1/analyses", data=data).json


def test_pages_show_every_analysis_once_the_newest_first(client, photo):
    made = [submit(client, photo)["id"] for _ in range(7)]
    seen, cursor = [], None
    while True:
        page = client.get(
            "/api/v1/analyses", query_string={"limit": 3} | ({"cursor": cursor} if cursor else {})
        ).json
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
        submit(client, photo)  # what comes meanwhile disturbs no page
    assert seen == made[::-1]
    assert page["next_cursor"] is None


def test_filters_narrow_a_listing(client, photo):
    cancelled = submit(client, photo, preset="product")
    submit(client, photo)
    client.post(f"/api/v1/analyses/{cancelled['id']}/cancel")
    for query in ("status=cancelled", "preset=product", "status=cancelled&model=pixel-analyst"):
        found = client.get(f"/api/v1/analyses?{query}").json["data"]
        assert [row["id"] for row in found] == [cancelled["id"]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=nope", "status=done", "preset="]
)
def test_a_query_that_makes_no_sense_is_a_400(client, query):
    answer = client.get(f"/api/v1/analyses?{query}")
    assert answer.status_code == 400
    assert query.split("=")[0] in answer.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/analyses/an_nothing", 404, "not_found"),
        ("GET", "/api/v1/analyses/an_%00", 404, "not_found"),
        ("PATCH", "/api/v1/analyses", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("POST", "/api/v1/image/analyze", 415, "unsupported_media_type"),
        ("GET", "/api/v1/analyses?limit=-1", 400, "invalid_request"),
    ],
)
def test_every_error_is_one_envelope(client, method, path, status, code):
    answer = client.open(path, method=method, headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == status
    assert answer.json.keys() == {"success", "error", "error_code", "timestamp", "request_id", "details"}
    assert (answer.json["success"], answer.json["error_code"]) == (False, code)
    assert answer.json["request_id"] == answer.headers["X-Request-ID"] == "mine-1"


def test_a_bug_is_a_500_that_tells_nothing_of_itself(app, client, monkeypatch):
    monkeypatch.setitem(app.view_functions, "health.health", lambda: 1 / 0)
    app.testing = False
    answer = client.get("/health")
    assert (answer.status_code, answer.json["error_code"]) == (500, "internal_error")
    assert "division" not in answer.text


def test_without_a_database_answers_are_503_and_say_when_to_come_back(settings, key):
    away = dataclasses.replace(settings, database_url="postgresql+psycopg://x@127.0.0.1:9/x")
    client = create_app(away).test_client()
    answer = client.get("/api/v1/analyses", headers={"X-API-Key": key.secret})
    assert (answer.status_code, answer.json["error_code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    health = client.get("/api/health")
    assert (health.status_code, health.json["status"]) == (503, "down")
    assert health.json["checks"]["database"]["status"] == "down"
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "läuft", "a;b"])
def test_a_request_id_that_could_hurt_a_log_is_replaced(client, sent):
    answer = client.get("/health", headers={"X-Request-ID": sent.encode().decode("latin-1")})
    assert re.fullmatch(r"req_[0-9a-z]{26}", answer.headers["X-Request-ID"])


def test_the_document_is_valid_openapi_and_names_every_route(app, client):
    document = client.get("/openapi.json").json
    validate(document)
    assert document["openapi"].startswith("3.1")
    outside = {"/openapi.json", "/", "/static/{filename}"}
    routes = {
        re.sub(r"<(?:[^:>]+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith("/docs")
    }
    assert routes - outside == set(document["paths"])


def test_the_docs_and_the_front_door_open_without_the_internet(client):
    docs = client.get("/docs/").text
    assert "swagger" in docs.lower()
    assert not re.search(r"(src|href)=[\"']https?://", docs)
    assert "Vitrine" in client.get("/", headers={"Accept": "text/html"}).text
    assert client.get("/", headers={"Accept": "*/*"}).json["docs"] == "/docs"


def test_origins_that_are_allowed_may_call_from_a_browser(settings, desk):
    shop = create_app(
        dataclasses.replace(settings, cors_origins=("https://shop.example",)), desk
    ).test_client()
    allowed = shop.get("/health", headers={"Origin": "https://shop.example"})
    other = shop.get("/health", headers={"Origin": "https://evil.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Access-Control-Allow-Origin" not in other.headers
