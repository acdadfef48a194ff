"""vitrine audit beside the endpoint's own ledger."""

import json

import requests
from sqlalchemy import delete, update

from core.models import Analysis, Call


def _asked(live, photo, count=4):
    session = live.session()
    for _ in range(count):
        files = {"file": ("p.jpg", photo(), "image/jpeg")}
        data = {"question": "What colour is it?", "wait": 30, "cache": "off"}
        answer = session.post(f"{live.url}/api/v1/analyses", data=data, files=files, timeout=60)
        assert answer.status_code == 200, answer.text
    return session, answer.json()


def _audit(live, *arguments):
    return live.vitrine("audit", "--endpoint-ledger", live.analyst.base_url, *arguments)


def _change(live, statement):
    with live.desk.database.transaction() as session:
        session.execute(statement)


def test_what_the_endpoint_saw_and_what_is_on_the_books_agree(quick, photo):
    _asked(quick, photo)
    done = _audit(quick)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "Books, items and budgets agree, and the endpoint with them.\n"


def test_each_way_of_not_agreeing_with_the_endpoint_is_told(quick, photo):
    _, answer = _asked(quick, photo)
    mine = Call.analysis_id == answer["id"]
    tokens = answer["usage"]["prompt_tokens"]
    _change(quick, update(Call).where(mine).values(prompt_tokens=tokens + 7))
    told = _audit(quick, "--json")
    kinds = [json.loads(line)["kind"] for line in told.stdout.splitlines()]
    assert (told.returncode, sorted(kinds)) == (1, ["tokens_differ", "usage_differs"])

    _change(quick, update(Call).where(mine).values(prompt_tokens=tokens, upstream_id="never"))
    table = _audit(quick)
    assert table.returncode == 1
    assert [line.split()[0] for line in table.stdout.splitlines()] == [
        "difference",
        "never_seen",
        "not_in_the_books",
    ]
    assert answer["request_id"] in table.stdout
    assert table.stderr == "2 differences.\n"
    _change(quick, delete(Call).where(mine))
    assert "not_in_the_books" in _audit(quick).stdout
    _change(quick, delete(Analysis).where(Analysis.id == answer["id"]))  # others audit this system too


def test_calls_that_came_past_vitrine_are_told(quick, photo):
    _asked(quick, photo, 1)
    requests.post(f"{quick.analyst.base_url}/chat/completions", json={}, timeout=5)
    told = _audit(quick)
    assert told.returncode == 1
    assert "(no request id)" in told.stdout


def test_an_address_without_a_ledger_is_one_sentence(quick):
    told = quick.vitrine("audit", "--endpoint-ledger", "http://127.0.0.1:9")
    assert (told.returncode, told.stdout) == (1, "")
    assert (
        told.stderr == "vitrine: There is no pixel analyst's ledger at http://127.0.0.1:9/control/ledger.\n"
    )


def test_an_account_that_is_not_there_is_one_sentence(quick):
    told = quick.vitrine("audit", "--account", "nobody")
    assert (told.returncode, told.stderr) == (1, "vitrine: There is no account 'nobody'.\n")
