"""An estimate beside what the same run then costs."""

import json
from decimal import Decimal

import pytest

from core.pricing import Price, Usage
from local.samples import draw_samples

PRICE = Price("m", Decimal(2), Decimal("0.5"), Decimal(8), None, "", "")
"""USD per million, as of a usual model."""
ASKED = [
    {"preset": "product"},
    {"question": "What colour is it?", "detail": "low"},
    {"question": "Describe it.", "max_image_tokens": 500},
    {"preset": "describe", "preset_options": {"languages": ["en", "ko"]}},
]


def cost(usage):
    return PRICE.cost(
        Usage(prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"])
    ).total


SEVERAL = [{"preset": "product"}, {"question": "Is it red?"}]


@pytest.fixture
def session(live):
    return live.session()


@pytest.fixture
def ids(live, session, tmp_path):
    """Of the sample photos, stored."""
    found = []
    for path in sorted(sample.path for sample in draw_samples(tmp_path)):
        with path.open("rb") as file:
            stored = session.post(f"{live.url}/api/v1/files", files={"file": file})
        found.append(stored.json()["id"])
    return found


def submission(ids, asked, views=1):
    """Items of so many images each."""
    groups = [ids[place : place + views] for place in range(0, len(ids) - views + 1, views)]
    return {"inputs": [{"images": group} for group in groups], "defaults": {**asked, "cache": "off"}}


def estimate(live, session, ids, asked, views=1):
    body = submission(ids, asked, views)
    answer = session.post(f"{live.url}/api/v1/estimate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def demand_near(estimated, batch):
    """Within a tenth, in tokens and in what these cost."""
    assert batch["counts"]["completed"] == batch["counts"]["total"], json.dumps(batch)
    ratio = cost(estimated["usage"]) / cost(batch["usage"])
    assert Decimal("0.9") < ratio < Decimal("1.1"), (estimated, batch["usage"])


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(map(str, asked.values()))[:30])
def test_an_estimate_is_within_a_tenth_of_what_the_same_run_then_costs(live, session, ids, asked):
    # A pilot, after which it is known how long answers are.
    run(live, session, ids[:3], asked)
    estimated = estimate(live, session, ids, asked)
    assert (estimated["answers"], estimated["images_measured"]) == (3, len(ids))
    assert estimated["seconds"] > 0
    batch = run(live, session, ids, asked)
    demand_near(estimated, batch)
    shown = session.get(f"{live.url}/api/v1/batches/{batch['id']}/results").json()["data"]
    tokens = [item["images"][0]["preparation"]["sent"]["tokens"] for item in shown]
    assert sum(tokens) == batch["usage"]["prompt_tokens_details"]["image_tokens"]
    assert sum(tokens) == estimated["usage"]["prompt_tokens_details"]["image_tokens"]


@pytest.mark.parametrize("asked", SEVERAL, ids=lambda asked: str(*asked.values()))
def test_so_it_is_of_several_images_each_whatever_was_answered_about_other_numbers(live, session, ids, asked):
    run(live, session, ids, asked)
    assert "more or fewer" in estimate(live, session, ids, asked, views=3)["warnings"][0]
    run(live, session, ids[:6], asked, views=3)
    for views, answers in ((3, 2), (1, len(ids))):
        estimated = estimate(live, session, ids, asked, views)
        assert (estimated["answers"], estimated["warnings"]) == (answers, [])
        demand_near(estimated, run(live, session, ids, asked, views))


def test_so_it_is_where_products_are_sorted_into_a_taxonomy(live, session, ids):
    nodes = [
        {"id": f"{place}", "label": f"Category {place}", "parent": f"{place % 20}" if place >= 20 else None}
        for place in range(400)
    ]
    tree = {"name": "shop", "nodes": nodes}
    assert session.post(f"{live.url}/api/v1/taxonomies", json=tree, timeout=30).status_code == 201
    asked = {"preset": "classify", "preset_options": {"taxonomy": "shop"}}
    run(live, session, ids[:3], asked)
    estimated = estimate(live, session, ids, asked)
    assert estimated["not_counted"] == []
    assert estimated["assumed"]["steps"] == 1  # the analyst knows no categories, and says so at once
    demand_near(estimated, run(live, session, ids, asked))


def test_so_it_is_where_a_stronger_model_is_asked_about_some(live, session, ids):
    pack = {
        "name": "sure",
        "title": "How sure",
        "prompt": "You name the colour of a product.",
        "question": "Which colour, and how sure is that?",
        "schema": {
            "type": "object",
            "properties": {"color": {"type": "string"}, "confidence": {"type": "number"}},
            "required": ["color", "confidence"],
            "additionalProperties": False,
        },
        "models": {"first": "pixel-analyst", "stronger": "pixel-analyst-2", "threshold": 0.9},
    }
    made = session.post(f"{live.url}/api/v1/presets", json=pack, timeout=30)
    assert made.status_code == 201, made.text
    asked = {"preset": "sure"}
    run(live, session, ids, asked)  # after three, the share would be a guess
    estimated = estimate(live, session, ids, asked)
    assert 0 < estimated["assumed"]["escalated"] < 1
    assert estimated["calls"] > len(ids)
    demand_near(estimated, run(live, session, ids, asked))


def run(live, session, ids, asked, views=1):
    body = submission(ids, asked, views)
    made = session.post(f"{live.url}/api/v1/batches", json=body).json()

    def finished():
        found = session.get(f"{live.url}/api/v1/batches/{made['id']}").json()
        return found if found["completed_at"] else None

    return live.wait_for(finished)
