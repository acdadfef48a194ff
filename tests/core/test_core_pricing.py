"""Prices: dated, overridable, and never guessed."""

import json
from decimal import Decimal

import pytest

from config import ConfigurationError
from core.pricing import PriceTable, Usage


def test_every_built_in_price_says_when_and_where_from():
    table = PriceTable.load()
    for price in table._prices.values():
        assert price.as_of >= "2026"
        assert price.source


def test_a_dated_revision_costs_what_its_model_costs_and_other_names_are_unknown():
    table = PriceTable.load()
    assert table.find("gpt-4.1-mini-2025-04-14") is table.find("gpt-4.1-mini")
    assert table.find("gpt-4.1-mini-large") is None
    assert table.find("gpt-4x1-mini") is None


def test_cached_tokens_cost_their_own_price():
    price = PriceTable.load().find("gpt-4.1-mini")
    cost = price.cost(Usage(prompt_tokens=1_000_000, cached_tokens=400_000, completion_tokens=1_000_000))
    assert (cost.prompt, cost.completion, cost.total) == (Decimal("0.28"), Decimal("1.6"), Decimal("1.88"))


def test_an_override_changes_one_model_and_keeps_the_others(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"my-model": {"input": 1, "cached_input": 0.5, "output": "2"}}))
    table = PriceTable.load(path)
    assert table.find("my-model").output == 2
    assert table.find("gpt-4.1").input == 2


def line(**changes):
    return {"m": {"input": 1, "cached_input": 1, "output": 1, **changes}}


NO_TABLES = [
    "",
    [],
    {"m": {}},
    {"m": 1},
    line(input="x"),
    line(input=-1),
    line(input="NaN"),
    line(image={}),
    line(image="abacus"),
]


@pytest.mark.parametrize("content", NO_TABLES, ids=str)
def test_an_override_that_is_no_price_table_is_reported_by_its_variable(tmp_path, content):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(content) if content != "" else "")
    with pytest.raises(ConfigurationError, match="PRICE_TABLE"):
        PriceTable.load(path)


@pytest.mark.parametrize(
    ("image", "tokens"),
    [
        ({"base": 10, "tile": 1}, 14),
        ({"patch": "2"}, 2048),
        ("claude", 1369),
        ({"kind": "flat", "tokens": 7}, 7),
        (None, 765),
    ],
)
def test_an_operator_may_say_how_a_model_counts_images(tmp_path, image, tokens):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(line(**({"image": image} if image else {}))))
    assert PriceTable.load(path).image_tokens("m", [(1024, 1024)]) == tokens


def test_the_worst_case_is_never_below_what_a_call_then_costs():
    prices = PriceTable.load()
    worst = prices.worst_case("gpt-4o", "신발 색이 뭐예요? " * 50, [(1024, 768)], 500)
    usage = Usage(prompt_tokens=85 + 170 * 4 + 500, completion_tokens=500)
    assert worst.cost > prices.find("gpt-4o").cost(usage).total
    assert worst.tokens > usage.prompt_tokens + usage.completion_tokens


def test_the_worst_case_of_a_model_without_a_price_is_known_in_tokens_only():
    worst = PriceTable.load().worst_case("nobody-knows", "?", [(1024, 1024)], 500)
    assert (worst.cost, worst.tokens) == (None, 1 + 100 + 765 + 500)
