"""What a submission would take: told before anything is made, and refused as it would be."""

import base64
import itertools
import random
import struct
import zlib
from datetime import timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest
from PIL import Image
from sqlalchemy import func, select, update

from core.ids import new_id
from core.image_header import size_of
from core.models import Analysis, AnalysisImage, Call, File
from core.services import fleet, likely_images
from core.states import AnalysisState, CallState

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
TILES = 765
"""What 1,024 by 768 px take of the pixel analyst."""


def estimate(client, **body):
    return client.post("/api/v1/estimate", json=body)


def measured(width=1024, height=768):
    return {"width": width, "height": height}


def count(desk, key):
    with desk.database.transaction() as session:
        return [
            session.scalar(select(func.count()).select_from(row).where(row.account_id == key.key.account_id))
            for row in (Analysis, File)
        ]


@pytest.mark.parametrize("form", FORMATS)
def test_the_size_is_read_from_how_the_bytes_begin(form):
    sink = BytesIO()
    Image.new("RGB", (321, 123), "red").save(sink, form)
    assert size_of(sink.getvalue()[:4096]) == (321, 123)
    assert size_of(sink.getvalue()[:8]) is None


def test_an_analysis_is_estimated_and_nothing_is_made(client, desk, key, photo):
    picture = base64.b64encode(photo(size=(1024, 768))).decode()
    answer = estimate(client, images=[{"base64": picture}], question="What colour is it?", wait=10)
    assert answer.status_code == 200, answer.json
    found = answer.json
    assert (found["items"], found["calls"], found["images"], found["images_measured"]) == (1, 1, 1, 1)
    assert found["usage"]["prompt_tokens_details"]["image_tokens"] == TILES
    assert found["usage"]["prompt_tokens"] > TILES
    assert found["usage"]["completion_tokens"] == 120
    assert found["cost"]["total_cost"] == 0.0
    assert count(desk, key) == [0, 0]


def test_files_of_a_form_stored_ones_and_sizes_alone_come_to_the_same(client, photo):
    content = photo(size=(1024, 768))
    stored = client.post("/api/v1/files", data={"file": (BytesIO(content), "a.jpg")}).json["id"]
    asked = {"question": "What colour is it?", "cache": "off"}  # of a size alone none is known
    form = client.post("/api/v1/estimate", data={"file": (BytesIO(content), "a.jpg"), **asked})
    batch = client.post("/api/v1/estimate", data={"images": (BytesIO(content), "a.jpg"), **asked})
    as_json = [
        estimate(client, images=[{"file_id": stored}], **asked),
        estimate(client, images=[measured()], **asked),
        estimate(client, inputs=[{"image": measured()}], defaults=asked),
    ]
    found = [answer.json for answer in (form, batch, *as_json)]
    assert found == [found[0]] * 5
    assert found[0]["usage"]["prompt_tokens_details"]["image_tokens"] == TILES


def test_a_batch_sums_its_items_and_what_nobody_has_seen_is_taken_to_be_like_the_rest(client):
    inputs = [{"image": measured()}, {"image": "https://shop.example/a.jpg"}, {"images": [measured()] * 2}]
    found = estimate(client, inputs=inputs, defaults={"question": "?"}).json
    assert (found["items"], found["images"], found["images_measured"]) == (3, 4, 3)
    assert found["usage"]["prompt_tokens_details"]["image_tokens"] == 4 * TILES


@pytest.mark.parametrize("by", [None, "folder"])
def test_the_images_of_an_archive_are_looked_at(client, photo, by):
    sink = BytesIO()
    with ZipFile(sink, "w") as archive:
        for view, color in (("front", "red"), ("back", "blue")):
            archive.writestr(f"mug/{view}.jpg", photo(color, size=(1024, 768)))
    data = {"file": (BytesIO(sink.getvalue()), "photos.zip"), "purpose": "batch"}
    stored = client.post("/api/v1/files", data=data).json["id"]
    answer = estimate(client, input_file_id=stored, group_by=by, defaults={"question": "What is it?"})
    assert answer.status_code == 200, answer.json
    found = answer.json
    assert (found["items"], found["images"], found["images_measured"]) == (1 if by else 2, 2, 2)
    assert found["usage"]["prompt_tokens_details"]["image_tokens"] == 2 * TILES


def test_detail_and_limits_of_tokens_change_the_estimate_and_what_is_saved_is_told(client):
    def images(**more):
        found = estimate(client, images=[measured(4000, 3000)], question="?", **more).json
        return found["usage"]["prompt_tokens_details"]["image_tokens"], found["saved_image_tokens"]

    assert images() == (TILES, 0)  # the model shrinks this one to the same tiles by itself
    assert images(detail="low") == (85, 0)
    assert images(max_image_tokens=500) == (425, TILES - 425)


def test_of_more_sizes_than_can_be_counted_some_stand_for_all_of_them(client, monkeypatch):
    sides = random.Random(8)
    sizes = [(sides.randrange(300, 5000), sides.randrange(300, 5000)) for _ in range(1000)]
    ways = [{"detail": "low"}, {"detail": "auto"}, {"max_image_tokens": 500}]
    inputs = [
        {"image": measured(*size), **way} for size, way in zip(sizes, itertools.cycle(ways), strict=False)
    ]

    def counted(most):
        monkeypatch.setattr(likely_images, "MOST_COUNTED", most)
        found = estimate(client, inputs=inputs, defaults={"question": "?"}).json
        assert found["images_measured"] == 1000
        return found["usage"]["prompt_tokens_details"]["image_tokens"]

    assert counted(100) == pytest.approx(counted(1000), rel=0.1)
    assert counted(1) > 0


def took(desk, key, tokens, images=1, **more):
    """Store an analysis of so many images whose answer took so many tokens."""
    row = {
        "account_id": key.key.account_id,
        "key_id": key.key.id,
        "request_id": "req",
        "preset": "question",
        "preset_version": 1,
        "question": "?",
        "model": "pixel-analyst",
        "temperature": 0,
        "detail": "auto",
        "meta": {},
        "max_tokens": 1024,
        "state": AnalysisState.COMPLETED,
        "deadline_at": func.now(),
        "started_at": func.now(),
        "finished_at": func.now(),
        "completion_tokens": tokens,
    }
    analysis = Analysis(id=new_id("an"), **row | more)
    with desk.database.transaction() as session:
        session.add(analysis)
        session.flush()
        session.add_all(
            AnalysisImage(analysis_id=analysis.id, position=place, url="https://shop.example/a.jpg")
            for place in range(images)
        )
    return analysis


def called(desk, analysis, *models, tokens=0):
    """Enter answered calls of an analysis into the books."""
    with desk.database.transaction() as session:
        for model in models:
            about = {"account_id": analysis.account_id, "key_id": analysis.key_id, "fence": 1}
            session.add(
                Call(
                    id=new_id("call"),
                    analysis_id=analysis.id,
                    model=model,
                    state=CallState.SETTLED,
                    completion_tokens=tokens,
                    **about,
                )
            )


def expected(client, **asked):
    found = estimate(client, images=[measured()], **asked).json
    return found["usage"]["completion_tokens"], found["answers"], found["warnings"]


def test_answers_are_expected_to_be_as_long_as_the_latest_to_the_same_question(client, desk, key):
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": {"type": "object"}}}
    for tokens, more in [
        (30, {}),
        (50, {}),
        (0, {"cached_from": "an_1"}),  # what was given again took nothing
        (400, {"question": "Tell me all."}),
        (900, {"question": None, "preset": "describe", "preset_options": {"languages": ["ko"], "a": 1}}),
        (600, {"question": None, "preset": "describe", "preset_options": {"languages": ["en"]}}),
        (70, {"response_format": form}),
    ]:
        took(desk, key, tokens, **more)
    assert expected(client, question="?") == (40, 2, [])
    assert expected(client, question="Tell me all.") == (400, 1, [])
    assert expected(client, question="Tell me all.", max_tokens=100) == (100, 1, [])
    assert expected(client, preset="describe", preset_options={"languages": ["en"]}) == (600, 1, [])
    assert expected(client, question="?", response_format=form) == (70, 1, [])


def test_without_answers_to_the_same_question_others_stand_for_them_and_that_is_told(client, desk, key):
    new = "There are no answers of this sort yet: how long they will be is "
    assert expected(client, question="Why?") == (120, 0, [new + "a guess."])
    for tokens in (30, 50):
        took(desk, key, tokens)
    other = new + "taken from answers to other questions."
    assert expected(client, question="Why?") == (40, 0, [other])
    inputs = [{"image": measured()}, {"image": measured(), "question": "Why?"}]
    found = estimate(client, inputs=inputs, defaults={"question": "?"}).json
    assert found["answers"] == 2
    [warning] = found["warnings"]
    assert "yet to 1 of 2 questions: " in warning


def test_that_the_tokens_of_images_are_a_guess_is_told_of_models_that_no_table_knows(client, desk, key):
    told = "How scripted counts images is not known: their tokens are a guess, counted as gpt-4o's."
    for model, warnings in (("scripted", [told]), ("gpt-4.1-mini", [])):
        took(desk, key, 30, model=model)
        assert expected(client, question="?", model=model) == (30, 1, warnings)
    cascade = estimate(client, images=[measured()], **CASCADE | {"stronger_model": "scripted"}).json
    assert told in cascade["warnings"]


def test_however_fast_answers_were_a_run_takes_its_time_to_begin(client, desk, key):
    fleet.report(desk, "estimated", slots=8, endpoint={})
    took(desk, key, 30)  # in no time at all
    inputs = [{"image": measured(), "question": "?"}] * 17
    assert estimate(client, inputs=inputs).json["seconds"] >= 2
    assert estimate(client, images=[measured()], preset="quality").json["seconds"] == 0
    fleet.leave(desk, "estimated")


def test_answers_about_as_many_images_are_taken_and_where_there_are_none_that_is_told(client, desk, key):
    for tokens, images in ((30, 1), (50, 1), (90, 2), (110, 2), (400, 4)):
        took(desk, key, tokens, images=images)

    def found(*numbers, question="?"):
        inputs = [{"images": [measured()] * number} for number in numbers]
        answer = estimate(client, inputs=inputs, defaults={"question": question}).json
        return answer["usage"]["completion_tokens"], answer["answers"], answer["warnings"]

    assert (found(1), found(2), found(4)) == ((40, 2, []), (100, 2, []), (400, 1, []))
    assert found(1, 2, 2) == (240, 4, [])
    tokens, answers, [warning] = found(5, 1)
    assert (tokens, answers) == (440, 3)
    assert warning == (
        "There are no answers about as many images yet to 1 of 2 questions:"
        " how long they will be is taken from answers about more or fewer."
    )
    assert found(2, question="Why?")[0] == 100  # of other questions too


FORM = {"type": "json_schema", "json_schema": {"name": "c", "schema": {"type": "object"}}}
CASCADE = {
    "question": "?",
    "response_format": FORM,
    "model": "pixel-analyst",
    "stronger_model": "gpt-4.1-mini",
}


def test_what_nobody_can_know_is_assumed_and_told(client):
    def assumed(**asked):
        return estimate(client, images=[measured()], **asked).json["assumed"]

    nothing = {"steps": None, "escalated": None, "repaired": None}
    assert assumed(question="?") == nothing
    assert assumed(preset="quality") == nothing
    assert assumed(preset="product") == nothing | {"repaired": 0.02}
    assert assumed(**CASCADE) == nothing | {"escalated": 0.2, "repaired": 0.02}


def test_a_cascade_costs_what_both_models_take(client):
    inputs = [{"image": measured()}] * 100
    alone = estimate(client, inputs=inputs, defaults=CASCADE | {"stronger_model": None}).json
    strong = estimate(
        client, inputs=inputs, defaults=CASCADE | {"model": "gpt-4.1-mini", "stronger_model": None}
    ).json
    both = estimate(client, inputs=inputs, defaults=CASCADE).json
    assert (alone["calls"], both["calls"]) == (102, 120)  # in a cascade, only the second answer is mended
    assert alone["cost"]["total_cost"] == 0
    assert both["cost"]["total_cost"] == pytest.approx(0.2 * strong["cost"]["total_cost"], rel=0.02)


def test_how_many_go_to_the_stronger_model_and_how_many_are_mended_is_learned(client, desk, key):
    row = {"response_format": FORM, "stronger_model": "gpt-4.1-mini"}
    for _ in range(3):
        called(desk, took(desk, key, 50, **row), "pixel-analyst", tokens=50)
    row |= {"first_model": "pixel-analyst", "model": "gpt-4.1-mini"}
    escalated = took(desk, key, 450, **row)
    called(desk, escalated, "pixel-analyst", tokens=50)
    called(desk, escalated, "gpt-4.1-mini", "gpt-4.1-mini", tokens=200)
    found = estimate(client, images=[measured()], **CASCADE).json
    assert found["assumed"] == {"steps": None, "escalated": 0.25, "repaired": 1}
    assert found["answers"] == 4
    assert found["usage"]["completion_tokens"] == 50 + 0.25 * 2 * 200
    other = CASCADE | {"stronger_model": "scripted"}
    assert estimate(client, images=[measured()], **other).json["assumed"]["escalated"] == 0.2


def test_the_steps_down_a_taxonomy_are_counted_by_its_tree_and_then_by_what_was_taken(client, desk, key):
    nodes = [
        {"id": f"{place}", "label": f"Category {place}", "parent": f"{place % 20}" if place >= 20 else None}
        for place in range(400)
    ]
    assert client.post("/api/v1/taxonomies", json={"name": "deep", "nodes": nodes}).status_code == 201
    flat = {"name": "flat", "nodes": nodes[:20]}
    assert client.post("/api/v1/taxonomies", json=flat).status_code == 201

    def sorted_into(name):
        asked = {"preset": "classify", "preset_options": {"taxonomy": name}}
        found = estimate(client, images=[measured()], **asked).json
        return found["assumed"]["steps"], found["usage"]["prompt_tokens"], found["calls"]

    (one, first, _), (two, both, calls) = sorted_into("flat"), sorted_into("deep")
    assert (one, two, calls) == (1, 2, 2)
    assert both > 2 * first
    took(
        desk,
        key,
        10,
        question=None,
        preset="classify",
        preset_options={"taxonomy": "deep"},
        data={"steps": 1},
    )
    assert sorted_into("deep")[0] == 1


def test_an_answer_that_calls_something_else_its_steps_breaks_no_estimate(client, desk, key):
    for steps in ("five", [1], None, 10**9, 0, 12):
        analysis = took(desk, key, 10, data={"steps": steps}, response_format=FORM)
        called(desk, analysis, "pixel-analyst", "pixel-analyst", tokens=5)
    took(desk, key, 10, data=[1], response_format=FORM)
    found = estimate(client, images=[measured()], question="?", response_format=FORM).json
    assert found["answers"] == 7
    assert found["assumed"] == {"steps": None, "escalated": None, "repaired": pytest.approx(6 / 7, abs=1e-3)}
    assert found["usage"]["completion_tokens"] == 10


def answered(desk, key, analysis_id, **more):
    """Complete an analysis as a worker does, so long ago."""
    values = {"state": AnalysisState.COMPLETED, "started_at": func.now(), "finished_at": func.now(), **more}
    with desk.database.transaction() as session:
        session.execute(update(Analysis).where(Analysis.id == analysis_id).values(values))


def test_each_question_is_paid_once_and_one_that_is_answered_not_at_all(client, desk, key, photo):
    ids = [
        client.post("/api/v1/files", data={"file": (BytesIO(photo(color)), "a.jpg")}).json["id"]
        for color in ("red", "blue")
    ]
    body = {"inputs": [{"image": file_id} for file_id in [*ids, ids[0]]], "defaults": {"question": "?"}}

    def counts(**defaults):
        found = estimate(client, **body | {"defaults": {"question": "?", **defaults}}).json
        assert (found["images"], found["images_measured"]) == (3, 3)
        return found["items"], found["calls"], found["cached"]

    assert (counts(), counts(cache="off")) == ((3, 2, 1), (3, 3, 0))
    made = client.post("/api/v1/analyses", json={"images": [{"file_id": ids[0]}], "question": "?"}).json
    assert counts() == (3, 2, 1)
    answered(desk, key, made["id"], started_at=func.now() - timedelta(hours=2))
    assert counts() == (3, 1, 2)
    assert (counts(cache="refresh"), counts(cache=60), counts(detail="low")) == ((3, 2, 1),) * 3
    picture = {"base64": base64.b64encode(photo("red")).decode()}
    free = estimate(client, images=[picture], question="?").json
    assert (free["calls"], free["cached"], free["usage"]["total_tokens"]) == (0, 1, 0)
    assert free["cost"]["total_cost"] == 0.0


def test_answers_of_others_are_not_counted_on(client, desk, key, app, new_key, photo):
    picture = {"base64": base64.b64encode(photo()).decode()}
    made = client.post("/api/v1/analyses", json={"images": [picture], "question": "?"}).json
    answered(desk, key, made["id"])
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    assert estimate(other, images=[picture], question="?").json["calls"] == 1
    assert estimate(client, images=[picture], question="?").json["calls"] == 0


def test_what_is_measured_and_not_asked_costs_nothing(client):
    found = estimate(client, images=[measured()], preset="quality").json
    assert (found["items"], found["calls"], found["usage"]["total_tokens"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "_schema"),
        ({"images": [measured()], "inputs": []}, "_schema"),
        ({"images": []}, None),
        ({"images": [measured()]}, None),  # nothing is asked
        ({"images": [{"width": 0, "height": 5}], "question": "?"}, None),
        ({"images": [{"width": "5", "height": 5}], "question": "?"}, None),
        ({"images": [{"width": 10**9, "height": 5}], "question": "?"}, None),
        ({"images": [{"file_id": "file_00000000000000000000000000"}], "question": "?"}, None),
        ({"images": [{"width": 50_000, "height": 50_000}], "question": "?"}, None),
        ({"images": [{"width": 5, "height": 5, "depth": 5}], "question": "?"}, None),
        ({"images": [{"file_id": "file_1", "size": 5}], "question": "?"}, None),
        ({"images": ["http://127.0.0.1/"], "question": "?"}, None),
        ({"images": [None], "question": "?"}, None),
        ({"images": [measured()], "question": "?", "model": "nobody"}, None),
        ({"images": [measured()], "question": "?", "max_image_tokens": 3}, None),
        ({"input_file_id": "file_00000000000000000000000000"}, None),
    ],
    ids=str,
)
def test_what_would_be_refused_is(client, body, field):
    answer = estimate(client, **body)
    assert answer.status_code in {400, 404}, answer.json
    assert field is None or field in answer.json["details"]["fields"]


@pytest.mark.parametrize(("detail", "status"), [("low", {200, 202}), ("auto", {400}), ("max", {400})])
def test_how_few_tokens_an_image_may_take_depends_on_the_detail(client, photo, detail, status):
    picture = base64.b64encode(photo()).decode()
    asked = {"question": "?", "detail": detail, "max_image_tokens": 85}
    answers = [
        client.post("/api/v1/analyses", json={"images": [{"base64": picture}], **asked}),
        client.post("/api/v1/batches", json={"inputs": [{"image": {"base64": picture}}], "defaults": asked}),
        estimate(client, images=[{"base64": picture}], **asked),
    ]
    for answer in answers:
        assert answer.status_code in status, answer.json
        assert answer.status_code != 400 or f"With detail {detail}, " in answer.text
        assert answer.status_code != 400 or "(allow 255 or more, or ask with detail low)" in answer.text


UNFIT = {
    "text": (b"hello", "a.jpg"),
    "nothing": (b"", "a.jpg"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "logo.svg"),
    "csv": (b"sku,image\n1,2\n", "list.csv"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "logo.eps"),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_is_no_image_is_refused_as_an_analysis_of_it_is(client, unfit):
    content, name = UNFIT[unfit]

    def refusals(path):
        form = client.post(path, data={"file": (BytesIO(content), name), "question": "?"})
        picture = {"base64": base64.b64encode(content).decode(), "name": name}
        as_json = client.post(path, json={"images": [picture], "question": "?"})
        return [(answer.status_code, answer.json["error_code"]) for answer in (form, as_json)]

    found = refusals("/api/v1/estimate")
    assert found == refusals("/api/v1/analyses")
    assert {status for status, _ in found} <= {400, 415}


def test_an_analysis_is_refused_by_its_first_problem_and_not_as_a_batch(client, new_key, app, photo):
    mine = client.post("/api/v1/files", data={"file": (BytesIO(photo()), "a.jpg")}).json["id"]
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    foreign = estimate(other, images=[{"file_id": mine}], question="?")
    assert (foreign.status_code, foreign.json["error"]) == (404, f"There is no file {mine!r}.")
    for image in ({"width": None, "height": 1}, {"width": 1}):
        answer = estimate(client, images=[image], question="?")
        assert answer.json["error"].startswith("images: width and height must be whole numbers"), answer.json
    unasked = estimate(client, images=[measured()])
    assert unasked.json["error"] == "question: Ask a question or name a preset."
    batch = estimate(client, inputs=[{"image": measured()}] * 3).json["error"]
    assert batch == "3 problems in the items; the first: line 1, question: Ask a question or name a preset."


def submitted(client, photo, path, kind, **fields):
    """What a path answers to one image as a form or as JSON, of an analysis or of a batch."""
    if kind in {"file", "images"}:
        return client.post(path, data={kind: (BytesIO(photo()), "a.jpg"), "question": "?", **fields})
    picture = {"base64": base64.b64encode(photo()).decode()}
    if kind == "inputs":
        return client.post(path, json={"inputs": [{"image": picture, "question": "?"}], **fields})
    return client.post(path, json={"images": [picture], "question": "?", **fields})


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("images", {"preset_options": "{}"}),
        ("images", {"wait": "1"}),
        ("images", {"sku": "A-1"}),
        ("images", {"view": "front"}),
        ("images", {"response_format": "{}"}),
        ("file", {"response_format": "{}"}),
        ("file", {"pilot": "3"}),
        ("file", {"group_by": "name"}),
        ("json", {"response_format": {}}),
        ("json", {"response_format": None}),
        ("json", {"pilot": 3}),
        ("json", {"defaults": {}}),
        ("inputs", {"question": "?"}),
        ("inputs", {"wait": 1}),
        ("json", {"inputs": None}),
    ],
    ids=str,
)
def test_fields_that_only_the_other_kind_of_submission_has_are_refused_alike(client, photo, kind, fields):
    path = "/api/v1/batches" if kind in {"images", "inputs"} else "/api/v1/analyses"
    run, estimated = (submitted(client, photo, each, kind, **fields) for each in (path, "/api/v1/estimate"))
    assert run.status_code == estimated.status_code == 400, (run.json, estimated.json)
    assert run.json["error"] == estimated.json["error"]


def test_bytes_that_say_they_have_more_pixels_than_are_taken_are_refused_as_such_a_size_is(client):
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    picture = {"base64": base64.b64encode(content).decode()}
    answers = [
        estimate(client, images=[measured(60_000, 60_000)], question="?"),
        estimate(client, images=[picture], question="?"),
        estimate(client, inputs=[{"image": picture, "question": "?"}]),
        *(
            client.post("/api/v1/estimate", data={name: (BytesIO(content), "a.png"), "question": "?"})
            for name in ("file", "images")
        ),
    ]
    for answer in answers:
        assert answer.status_code == 400
        assert "60,000 by 60,000 pixels is not taken" in answer.json["error"]


def test_views_of_files_are_taken_as_an_analysis_takes_them(client, photo):
    data = {"file": [(BytesIO(photo()), "a.jpg"), (BytesIO(photo()), "b.jpg")], "question": "?"}
    assert client.post("/api/v1/estimate", data={**data, "view": ["front", "label"]}).json["images"] == 2


def test_a_size_alone_is_no_image_where_something_is_to_be_run(client):
    answer = client.post("/api/v1/batches", json={"inputs": [{"image": measured(), "question": "?"}]})
    assert answer.status_code == 400
    answer = client.post("/api/v1/analyses", json={"images": [measured()], "question": "?"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("asked", "left_out"),
    [
        ({"question": "?"}, ["reuse"]),
        ({"question": "?", "cache": "off"}, []),
        ({"question": "?", "cache": "off", "reuse": "near"}, []),
        ({"question": "?", "cache": "refresh", "reuse": "near"}, []),
        ({"preset": "product"}, ["reuse"]),
        ({"preset": "quality"}, []),
    ],
)
def test_what_an_estimate_leaves_out_is_named(client, asked, left_out):
    found = estimate(client, images=[measured()], **asked).json
    assert found["not_counted"] == left_out
