"""A cheap model first, a stronger one where that is not enough: both on the books, and what it saved."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from endpoint import completion

from core.errors import Conflict, InvalidRequest
from core.services import batches, presets, usage
from core.services.batches import Order
from core.services.items import Items
from webapp import present
from webapp.uploads import Spool
from worker.analyze import Analyzer
from worker.leases import Leases

CHEAP, STRONG = "gpt-4.1-mini", "gpt-4.1"
PACK = {
    "title": "Kinds",
    "prompt": "You name kinds.",
    "question": "Which kind?",
    "schema": {
        "type": "object",
        "properties": {"kind": {"type": ["string", "null"]}, "confidence": {"type": ["number", "null"]}},
        "required": ["kind", "confidence"],
        "additionalProperties": False,
    },
    "models": {"first": CHEAP, "stronger": STRONG, "threshold": 0.8, "must_know": ["kind"]},
}


@pytest.fixture
def shop(shop, fetcher, preparer, vision, throttle):
    settings = dataclasses.replace(shop.desk.settings, vision_models=(CHEAP, STRONG))
    shop.desk = dataclasses.replace(shop.desk, settings=settings)
    leases = Leases(shop.desk)
    shop.analyzer = Analyzer(shop.desk, fetcher, preparer, vision, throttle, leases, "test-worker")
    presets.create(shop.desk, shop.key.account_id, "kinds", PACK)
    yield shop
    leases.close()


def said(kind, confidence, **tokens):
    return completion(json.dumps({"kind": kind, "confidence": confidence}), **tokens)


def ask(shop, **options):
    return shop.ask(**{"preset": "kinds", "question": None, "model": None, **options})


def models(script):
    return [call["body"]["model"] for call in script.calls]


def test_a_cheap_answer_that_is_sure_is_enough_and_what_it_saved_is_on_the_books(shop, script):
    script.say(said("mug", 0.9, prompt_tokens=1000, completion_tokens=100))
    row = ask(shop)
    assert (row.state, row.data["kind"], row.model, models(script)) == ("completed", "mug", CHEAP, [CHEAP])
    [call] = shop.calls(row.id)
    # 0.40 and 1.60 against 2.00 and 8.00 USD per million tokens
    assert call.saved_cost == Decimal("0.00224")
    shown = present.analysis(row)["cascade"]
    assert shown == {
        "first": {"model": CHEAP, "total_cost": 0.00056},
        "stronger": {"model": STRONG, "total_cost": None},
        "reason": None,
    }


NOT_ENOUGH = {
    "not sure": (said("mug", 0.5), "confidence 0.5 is below 0.8"),
    "no confidence": (said("mug", None), "confidence unknown is below 0.8"),
    "a field that must be known": (said(None, 0.95), "kind is not known"),
    "no JSON": (completion("A mug."), "not JSON"),
    "not the schema": (completion('{"kind": 1}'), "does not fit"),
}


@pytest.mark.parametrize("what", NOT_ENOUGH)
def test_what_is_not_enough_goes_to_the_stronger_model_and_both_costs_are_shown(shop, script, what):
    answer, why = NOT_ENOUGH[what]
    script.say(answer)
    script.say(said("cup", 0.4, prompt_tokens=1000, completion_tokens=100))
    row = ask(shop)
    assert (row.state, row.data["kind"], models(script)) == ("completed", "cup", [CHEAP, STRONG])
    shown = present.analysis(row)["cascade"]
    assert (shown["first"]["model"], shown["stronger"]["model"]) == (CHEAP, STRONG)
    assert shown["first"]["total_cost"] == pytest.approx(0.000072)
    assert shown["stronger"]["total_cost"] == pytest.approx(0.0028)
    assert why in shown["reason"]
    assert [call.model for call in shop.calls(row.id)] == [CHEAP, STRONG]
    assert shop.calls(row.id)[0].saved_cost == Decimal("-0.000072")


def test_what_a_variant_would_ask_is_not_missed_where_it_is_not_asked(shop, script):
    soles = {"properties": {"sole": {"type": "string"}}, "required": ["sole"]}
    on = {"properties": {"soles": {"const": True}}, "required": ["soles"]}
    pack = PACK | {
        "options": {"type": "object", "properties": {"soles": {"type": "boolean"}}},
        "variants": [{"when": on, "schema": soles}],
        "models": PACK["models"] | {"must_know": ["kind", "sole"]},
    }
    presets.create(shop.desk, shop.key.account_id, "soles", pack)
    script.say(said("shoe", 0.9))
    assert ask(shop, preset="soles").model == CHEAP
    for sole in ("unknown", "rubber"):
        script.say(completion(json.dumps({"kind": "shoe", "confidence": 0.9, "sole": sole})))
    ask(shop, preset="soles", preset_options={"soles": True})
    assert models(script)[1:] == [CHEAP, STRONG]


def test_the_stronger_model_is_shown_its_errors_like_any_other(shop, script):
    script.say(completion("A mug."))
    script.say(completion("A cup."))
    script.say(said("cup", 0.9))
    row = ask(shop)
    assert (row.state, models(script)) == ("completed", [CHEAP, STRONG, STRONG])


def test_a_cheap_answer_is_not_paid_again_when_the_stronger_model_has_to_be_tried_again(shop, script):
    script.say(said("mug", 0.1))
    script.say({"error": {"message": "wait"}}, status=500)
    row = ask(shop)
    assert row.state == "queued"
    shop.change(row.id, next_attempt_at=datetime.now(UTC) - timedelta(seconds=1))
    script.say(said("cup", 0.9))
    row = shop.run(row.id)
    assert (row.state, models(script)) == ("completed", [CHEAP, STRONG, STRONG])


def test_who_names_a_model_gets_that_one_alone(shop, script):
    script.say(said("mug", 0.1))
    row = ask(shop, model=CHEAP)
    assert (row.state, models(script), present.analysis(row)["cascade"]) == ("completed", [CHEAP], None)


WRONG = [
    {"first": "nonsense", "stronger": STRONG},
    {"first": CHEAP},
    {"first": CHEAP, "stronger": STRONG, "threshold": 2},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_cascade_of_models_that_are_not_served_is_refused(shop, wrong):
    with pytest.raises((InvalidRequest, Conflict)):
        presets.create(shop.desk, shop.key.account_id, "wrong", PACK | {"models": wrong})


def test_two_hundred_items_cost_less_and_usage_tells_how_much(shop, script, photo):
    spool = Spool(10_000_000)
    spool.write(photo(size=(64, 64)))
    upload = spool.upload("p.jpg")
    rows = [
        (n, {"custom_id": f"i{n}", "image": upload, "preset": "kinds", "cache": "off"}) for n in range(1, 201)
    ]
    items = Items(shop.desk, shop.key.account_id, {}, lambda _: upload).read(rows)
    order = Order(metadata={}, window=timedelta(hours=1), priority="normal", pilot=None)
    batch = batches.submit(shop.desk, shop.key, items, order, "req-1").batch
    page, _ = batches.results(shop.desk, shop.key.account_id, batch.id, after=-1, limit=200, state=None)
    for number, row in enumerate(page):
        script.say(said("mug", 0.5 if number % 5 == 0 else 0.9, prompt_tokens=1000, completion_tokens=100))
        if number % 5 == 0:
            script.say(said("cup", 0.9, prompt_tokens=1000, completion_tokens=100))
        assert shop.run(row.id).state == "completed"
    now, hour = datetime.now(UTC), timedelta(hours=1)
    asked = usage.question(
        shop.key.account_id, since=now - hour, until=now + hour, interval="day", group_by=[]
    )
    groups = list(usage.everything(shop.desk, asked))
    group = {name: sum(each[name] for each in groups) for name in ("calls", "cascade_saved")}
    # 160 times 0.00224 saved, 40 times 0.00056 spent on top; all strong would have been 200 times 0.0028
    assert group == {"calls": 240, "cascade_saved": Decimal("0.336")}
    spent = batches.get(shop.desk, shop.key.account_id, batch.id).tally.taken
    assert spent["prompt_cost"] + spent["completion_cost"] == Decimal("0.56") - Decimal("0.336")


FORM = {"type": "json_schema", "json_schema": {"name": "kind", "schema": PACK["schema"]}}
CASCADE = {"model": CHEAP, "stronger_model": STRONG}


def test_a_submission_may_name_a_stronger_model_where_its_preset_names_none(shop, script):
    script.say(said("mug", 0.3))
    script.say(said("cup", 0.9))
    row = shop.ask(question="Which kind?", response_format=FORM, **CASCADE)
    assert (models(script), row.data["kind"]) == ([CHEAP, STRONG], "cup")
    assert row.escalation == "confidence 0.3 is below 0.7"


def test_items_of_a_batch_may_name_one_too_in_their_defaults(shop):
    defaults = {"preset": "product", **CASCADE}
    reader = Items(shop.desk, shop.key.account_id, defaults, None)
    [item] = reader.read([(1, {"image": {"url": "https://8.8.8.8/1.jpg"}})])
    assert (item.model, item.stronger_model) == (CHEAP, STRONG)


@pytest.mark.parametrize(
    "wrong",
    [
        {"question": "Which kind?"},
        {"preset": "quality"},
        {"preset": "product", "stronger_model": "gpt-17"},
        {"preset": "product", "stronger_model": CHEAP},
    ],
)
def test_a_stronger_model_that_could_not_be_needed_is_refused(shop, wrong):
    with pytest.raises(InvalidRequest, match="stronger_model"):
        shop.submit(**{"question": None, **CASCADE, **wrong})
    reader = Items(shop.desk, shop.key.account_id, {**CASCADE, **wrong}, None)
    with pytest.raises(InvalidRequest, match="stronger_model"):
        reader.read([(1, {"image": {"url": "https://8.8.8.8/1.jpg"}})])
