"""Over budget is a 429 before anything is made; a batch waits instead."""

import io
from decimal import Decimal

import pytest
from sqlalchemy import Date, func, insert, update

from core.ids import new_id
from core.models import Budget, BudgetKind, Call

PATH = "/api/v1/analyses"


@pytest.fixture
def shop(app, new_key, photo):
    """Submit as a key with budgets."""

    def make(**spending):
        made = new_key(spending={BudgetKind(kind): Decimal(most) for kind, most in spending.items()})
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.secret}"

        def submit(path=PATH, name="file", **fields):
            data = {name: (io.BytesIO(photo()), "photo.jpg"), "question": "?!", "model": "gpt-4.1-mini"}
            headers = fields.pop("headers", None)
            return client.post(path, data=data | fields, headers=headers)

        submit.client, submit.key = client, made.key
        return submit

    return make


@pytest.mark.parametrize(("kind", "most"), [("monthly_usd", "0.0001"), ("daily_tokens", "50")])
def test_what_the_budget_cannot_pay_is_a_429_that_says_when_to_come_back(shop, kind, most):
    submit = shop(**{kind: most})
    answer = submit()
    assert (answer.status_code, answer.json["error_code"]) == (429, "budget_exceeded")
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    assert answer.json["details"]["budget"] == kind
    assert submit.client.get(PATH).json["data"] == []


def test_what_the_budget_can_pay_is_accepted(shop):
    assert shop(monthly_usd="0.01", daily_tokens="5000")().status_code == 202


@pytest.mark.parametrize(("state", "status"), [("reserved", 202), ("unknown", 429)])
def test_what_is_only_set_aside_is_not_refused_for_some_of_it_comes_back(shop, desk, state, status):
    submit = shop(monthly_usd="0.01")
    call = {"id": new_id("call"), "analysis_id": new_id("an"), "key_id": submit.key.id, "state": state}
    call |= {"account_id": submit.key.account_id, "fence": 1, "model": "m", "reserved_cost": Decimal("0.01")}
    this_month = func.timezone("UTC", func.now()).cast(Date)
    with desk.database.transaction() as session:
        session.execute(insert(Call).values(**call))
        used = {"used": Decimal("0.01"), "period": func.date_trunc("month", this_month).cast(Date)}
        session.execute(update(Budget).where(Budget.owner_id == submit.key.id).values(**used))
    assert submit().status_code == status


@pytest.mark.parametrize("path", ["/api/v1/image/analyze", "/api/v1/analyze-product"])
def test_the_plain_endpoints_refuse_too(shop, path):
    name = "image" if path.endswith("product") else "file"
    submit = shop(monthly_usd="0.0001")
    assert submit(path, name=name).status_code == 429


def test_a_model_without_a_price_is_refused_under_a_budget_in_usd(shop):
    answer = shop(monthly_usd="50")(model="scripted")
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert "has no price" in answer.json["error"]
    assert shop(daily_tokens="5000")(model="scripted").status_code == 202


def test_a_replay_is_answered_whatever_the_budget_says_by_then(shop, desk):
    submit = shop(monthly_usd="0.01")
    once = {"Idempotency-Key": "k-1"}
    first = submit(headers=once)
    assert first.status_code == 202
    with desk.database.transaction() as session:
        session.execute(update(Budget).where(Budget.owner_id == submit.key.id).values(most=0))
    again = submit(headers=once)
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert submit().status_code == 429


def test_a_batch_shows_its_cap_and_takes_another_as_it_resumes(shop):
    submit = shop()
    made = submit("/api/v1/batches", name="images", max_cost="2.5")
    assert (made.status_code, made.json["max_cost"]) == (202, 2.5)
    path = f"/api/v1/batches/{made.json['id']}"
    resume = lambda body=None: submit.client.post(f"{path}/resume", json=body)  # noqa: E731
    assert resume({"max_cost": 7}).json["max_cost"] == 7
    assert submit.client.post(f"{path}/resume").json["max_cost"] == 7
    assert submit.client.get("/api/v1/batches").json["data"][0]["max_cost"] == 7
    assert resume({"max_cost": None}).json["max_cost"] is None
    assert resume({"max_cost": 3}).json["max_cost"] == 3


@pytest.mark.parametrize("cap", ["0", "-1", "nan", "1e12", "x"])
def test_a_cap_that_makes_no_sense_is_a_400(shop, cap):
    assert shop()("/api/v1/batches", name="images", max_cost=cap).status_code == 400


def test_a_batch_of_a_model_without_a_price_takes_no_cap(shop):
    submit = shop()
    answer = submit("/api/v1/batches", name="images", model="scripted", max_cost="5")
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert submit("/api/v1/batches", name="images", model="scripted").status_code == 202


def test_a_batch_over_the_budget_of_its_key_is_accepted_and_waits(shop):
    assert shop(monthly_usd="0.0001")("/api/v1/batches", name="images").status_code == 202


def test_another_accounts_batch_cannot_be_given_a_cap(shop):
    batch_id = shop()("/api/v1/batches", name="images").json["id"]
    answer = shop().client.post(f"/api/v1/batches/{batch_id}/resume", json={"max_cost": 5})
    assert answer.status_code == 404
