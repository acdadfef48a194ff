"""GET /usage: what the books say by time and by who was paid, to nobody but the account."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert

from core.ids import new_id
from core.models import BudgetKind, Call
from core.services import keys

WHEN = datetime(2026, 3, 14, 10, 0, tzinfo=UTC)
DAY = {"from": "2026-03-14", "to": "2026-03-15"}


@pytest.fixture
def enter(desk, key):
    """Write a call into the books, settled unless something else is said."""

    def write(at=WHEN, of=key, **values):
        row = {
            "id": new_id("call"),
            "analysis_id": new_id("an"),
            "account_id": of.key.account_id,
            "key_id": of.key.id,
            "fence": 1,
            "model": "gpt-4.1-mini",
            "preset": "question",
            "batch_id": None,
            "state": "settled",
            "created_at": at,
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "cached_tokens": 40,
            "image_tokens": 60,
            "reasoning_tokens": 5,
            "prompt_cost": Decimal("0.01"),
            "completion_cost": Decimal("0.002"),
            "reserved_cost": None,
            **values,
        }
        with desk.database.transaction() as session:
            session.execute(insert(Call), [row])

    return write


@pytest.fixture
def read(client):
    def get(**query):
        answer = client.get("/api/v1/usage", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json

    return get


def test_calls_tokens_and_cost_are_summed(enter, read):
    for _ in range(3):
        enter()
    assert read(**DAY)["data"] == [
        {
            "start": "2026-03-14T00:00:00+00:00",
            "calls": 3,
            "refused_calls": 0,
            "unknown_cost_calls": 0,
            "usage": {
                "prompt_tokens": 300,
                "completion_tokens": 60,
                "total_tokens": 360,
                "prompt_tokens_details": {"cached_tokens": 120, "image_tokens": 180},
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            "cost": {
                "prompt_cost": 0.03,
                "completion_cost": 0.006,
                "total_cost": 0.036,
                "currency": "USD",
            },
            "reserved_cost": 0,
            "cached": 0,
            "saved": 0,
            "cascade_saved": 0,
            "saved_image_tokens": 0,
        }
    ]


def test_what_nobody_knows_the_cost_of_is_counted(enter, read):
    nothing = dict.fromkeys(("prompt_tokens", "completion_tokens", "prompt_cost", "completion_cost"))
    enter(state="unknown", **nothing | {"prompt_cost": Decimal("0.5"), "completion_cost": 0})
    enter(prompt_cost=None, completion_cost=None)  # a model without a price
    enter(state="refused", **nothing)
    enter(state="reserved", reserved_cost=Decimal("0.7"), **nothing)
    [row] = read(**DAY)["data"]
    counted = [row[name] for name in ("calls", "refused_calls", "unknown_cost_calls", "reserved_cost")]
    assert counted == [4, 1, 2, 0.7]
    assert row["cost"]["total_cost"] == 0.5


def test_hours_and_days_begin_in_utc_and_the_end_is_not_included(enter, read):
    for at in ("09:59:59.999+00:00", "10:00+00:00", "10:59:59.999+00:00", "11:00+00:00", "23:30-05:00"):
        enter(datetime.fromisoformat(f"2026-03-14T{at}"))
    hours = read(interval="hour", **{"from": "2026-03-14T10:00Z", "to": "2026-03-14T11:00Z"})["data"]
    assert [(row["start"][11:16], row["calls"]) for row in hours] == [("10:00", 2)]
    # The same moments, as another zone says them
    same = read(interval="hour", **{"from": "2026-03-14T15:30+05:30", "to": "2026-03-14T16:30+05:30"})
    assert same["data"] == hours
    days = read(interval="day", **{"from": "2026-03-14", "to": "2026-03-16"})["data"]
    assert [(row["start"][:10], row["calls"]) for row in days] == [("2026-03-14", 4), ("2026-03-15", 1)]


def test_groups_are_any_of_model_preset_key_and_batch(enter, read, key):
    enter()
    enter(model="gpt-4o", preset="product", batch_id="batch_1")
    enter(preset=None)  # from before presets were on the books
    rows = read(group_by="model,preset,key,batch", **DAY)["data"]
    assert [(row["model"], row["preset"], row["key"], row["batch"]) for row in rows] == [
        ("gpt-4.1-mini", None, key.key.id, None),
        ("gpt-4.1-mini", "question", key.key.id, None),
        ("gpt-4o", "product", key.key.id, "batch_1"),
    ]
    assert [row["model"] for row in read(group_by="model", **DAY)["data"]] == ["gpt-4.1-mini", "gpt-4o"]


def test_other_keys_of_the_account_are_seen_and_other_accounts_are_not(enter, read, key, new_key, desk):
    second = keys.create(desk, account=_account(desk, key), name="second")
    enter(of=second)
    enter(of=new_key())
    rows = read(group_by="key", **DAY)["data"]
    assert [(row["key"], row["calls"]) for row in rows] == [(second.key.id, 1)]


def test_nothing_used_is_an_empty_page(read):
    page = read(**DAY)
    assert (page["data"], page["has_more"], page["next_cursor"]) == ([], False, None)
    assert (page["from"], page["to"]) == ("2026-03-14T00:00:00+00:00", "2026-03-15T00:00:00+00:00")


def test_without_a_span_it_is_the_last_thirty_days_or_24_hours(enter, read):
    enter(datetime.now(UTC))
    for interval, span in (("day", timedelta(days=30)), ("hour", timedelta(hours=24))):
        page = read(interval=interval)
        since, until = (datetime.fromisoformat(page[name]) for name in ("from", "to"))
        assert span <= until - since < span + timedelta(days=1)
        assert [row["calls"] for row in page["data"]] == [1]


def test_pages_show_every_group_once_while_calls_come_in(enter, read):
    for hour in range(3):
        for model in "abc":
            enter(WHEN + timedelta(hours=hour), model=model)
    query = {"interval": "hour", "group_by": "model", "limit": 2, **DAY}
    page = read(**query)
    seen = page["data"]
    while page["has_more"]:
        enter(WHEN, model="a")  # behind the reader
        page = read(cursor=page["next_cursor"], **query)
        seen += page["data"]
    assert [(row["start"][11:13], row["model"]) for row in seen] == [
        (hour, model) for hour in ("10", "11", "12") for model in "abc"
    ]


def test_csv_has_every_group_and_nothing_that_a_spreadsheet_would_calculate(client, enter, read):
    enter(model="=1+1", preset=None)
    enter(model="plain")
    answer = client.get("/api/v1/usage", query_string={"format": "csv", "group_by": "model,preset", **DAY})
    assert answer.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["model"], row["preset"]) for row in rows] == [("'=1+1", ""), ("plain", "question")]
    assert (rows[1]["calls"], rows[1]["prompt_tokens"], rows[1]["total_cost"]) == ("1", "100", "0.012")
    assert rows[1]["start"] == "2026-03-14T00:00:00+00:00"


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-03-14", "to": "2026-03-14"},
        {"from": "2026-03-15", "to": "2026-03-14"},
        {"from": "2024-03-14", "to": "2026-03-14"},
        {"from": "2026-01-14", "to": "2026-03-14", "interval": "hour"},
        {"from": "yesterday"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-14:00"},
        {"to": "0001-01-01T00:00:00Z"},
        {"interval": "week"},
        {"group_by": "colour"},
        {"group_by": "model,"},
        {"cursor": "nope"},
        {"cursor": "WyJ4Il0="},
        {"cursor": "WyIyMDI2LTAxLTAxIiwgIlx1MDAwMCJd", "group_by": "model"},
        {"cursor": "é"},
        {"limit": "0"},
        {"format": "xml"},
    ],
)
def test_a_question_that_makes_no_sense_is_a_400(client, query):
    answer = client.get("/api/v1/usage", query_string=query)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request"), answer.text


def test_a_cursor_of_another_grouping_is_a_400(client, enter, read):
    enter(model="a")
    enter(model="b")
    cursor = read(group_by="model", limit=1, **DAY)["next_cursor"]
    answer = client.get("/api/v1/usage", query_string={"cursor": cursor, **DAY})
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")


def test_it_is_one_query_over_the_books_however_many_calls(client, enter, statements):
    for number in range(30):
        enter(model=f"m{number % 3}")
    with statements() as seen:
        client.get("/api/v1/usage", query_string={"group_by": "model", **DAY})
    assert len([statement for statement in seen if "FROM calls" in statement]) == 1
    assert len(seen) == 2  # and the key


def test_a_key_sees_its_own_budgets(app, new_key):
    made = new_key(spending={BudgetKind.MONTHLY_USD: Decimal(50), BudgetKind.DAILY_TOKENS: Decimal(1_000)})
    client = app.test_client()
    answer = client.get("/api/v1/usage", headers={"X-API-Key": made.secret})
    budget = answer.json["budget"]
    month, day = budget["monthly_usd"], budget["daily_tokens"]
    assert (month["limit"], month["spent"], month["reserved"]) == (50, 0, 0)
    assert day["limit"] == 1_000
    assert month["resets_at"].endswith("-01T00:00:00+00:00")
    assert timedelta(0) < datetime.fromisoformat(day["resets_at"]) - datetime.now(UTC) <= timedelta(days=1)


def test_a_key_without_budgets_has_none(read):
    assert read()["budget"] == {"monthly_usd": None, "daily_tokens": None}


def _account(desk, made):
    [row] = [row for row in keys.listing(desk) if row.id == made.key.id]
    return row.account.name
