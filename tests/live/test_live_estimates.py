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


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(map(str, asked.values()))[:30])
def test_an_estimate_is_within_a_tenth_of_what_the_same_run_then_costs(live, tmp_path, asked):
    samples = draw_samples(tmp_path)
    session = live.session()
    ids = []
    for path in sorted(sample.path for sample in samples):
        with path.open("rb") as file:
            stored = session.post(f"{live.url}/api/v1/files", files={"file": file})
        ids.append(stored.json()["id"])
    # A pilot, after which it is known how long answers are.
    run(live, session, ids[:3], asked)
    body = {"inputs": [{"image": file_id} for file_id in ids], "defaults": asked}
    estimated = session.post(f"{live.url}/api/v1/estimate", json=body).json()
    assert (estimated["answers"], estimated["images_measured"]) == (3, len(ids))
    assert estimated["seconds"] > 0
    batch = run(live, session, ids, asked)
    assert batch["counts"]["completed"] == len(ids), json.dumps(batch)
    ratio = cost(estimated["usage"]) / cost(batch["usage"])
    assert Decimal("0.9") < ratio < Decimal("1.1"), (estimated["usage"], batch["usage"])
    shown = session.get(f"{live.url}/api/v1/batches/{batch['id']}/results").json()["data"]
    tokens = [item["images"][0]["preparation"]["sent"]["tokens"] for item in shown]
    assert sum(tokens) == batch["usage"]["prompt_tokens_details"]["image_tokens"]
    assert sum(tokens) == estimated["usage"]["prompt_tokens_details"]["image_tokens"]


def run(live, session, ids, asked):
    body = {"inputs": [{"image": file_id} for file_id in ids], "defaults": {**asked, "cache": "off"}}
    made = session.post(f"{live.url}/api/v1/batches", json=body).json()

    def finished():
        found = session.get(f"{live.url}/api/v1/batches/{made['id']}").json()
        return found if found["completed_at"] else None

    return live.wait_for(finished)
