"""Turns of a conversation: their order, what goes along with them, and that a session never stays locked."""

import io
import threading
import time
from datetime import timedelta

import pytest

from core.errors import UpstreamError
from core.services import analyses, outcomes, sessions
from core.services.outcomes import Answer
from core.states import AnalysisState

HANGUL = "한글 자모 한국어"
FAMILY = "👩‍👩‍👧‍👦 é vs. é, क्षि"


def contents(asked):
    return [message["content"] for message in asked]


def image_message(words, *places, detail="auto"):
    parts = [
        {"type": "image_url", "image_url": {"url": f"vitrine:image/{n}", "detail": detail}} for n in places
    ]
    return [{"type": "text", "text": words}, *parts]


def test_a_turn_is_asked_with_the_system_prompt_and_everything_that_was_said_before(shop):
    session = shop.begin(system="You sell shoes.")
    shop.say(session, "Hello", "Hi!")
    third = shop.post(session, "Red ones?").json["analysis_id"]
    assert shop.asked(third) == [
        {"role": "system", "content": "You sell shoes."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "Red ones?"},
    ]


def test_messages_are_listed_in_their_order_with_what_the_answers_took(shop):
    session = shop.begin()
    shop.say(session, "One?", "1.")
    shop.say(session, "Two?", "2.")
    rows = shop.listed(session)
    assert [(row["sequence"], row["role"], row["content"]) for row in rows] == [
        (1, "user", "One?"),
        (2, "assistant", "1."),
        (3, "user", "Two?"),
        (4, "assistant", "2."),
    ]
    assert {row["status"] for row in rows} == {"completed"}
    assert rows[1]["usage"]["total_tokens"] == 120
    assert rows[0]["usage"] is None
    assert [row["finished_at"] is None for row in rows] == [True, False] * 2
    assert rows[1]["created_at"] <= rows[1]["finished_at"] <= rows[2]["created_at"]
    assert rows[0]["analysis_id"] == rows[1]["analysis_id"] != rows[2]["analysis_id"]


def test_a_finished_answer_comes_whole_with_its_message_and_what_it_took(shop):
    session = shop.begin()
    once = {"Idempotency-Key": "turn-1"}
    pending = shop.post(session, "Red?", headers=once)
    assert pending.headers["Location"].endswith(pending.json["analysis_id"])
    shop.answer(pending.json["analysis_id"], "Red.")
    answer = shop.post(session, "Red?", headers=once)
    assert answer.status_code == 200
    assert answer.headers["Idempotency-Replayed"] == "true"
    said = answer.json
    assert (said["role"], said["content"], said["session_id"]) == ("assistant", "Red.", session)
    assert said["message_id"] == shop.listed(session)[1]["id"] == pending.json["message_id"]
    assert said["usage"]["total_tokens"] == 120
    assert said["cost"]["currency"] == "USD"
    assert len(shop.listed(session)) == 2


def test_every_script_comes_back_as_it_was_sent(shop):
    session = shop.begin(system=HANGUL, metadata={"이름": FAMILY})
    shop.say(session, FAMILY, HANGUL)
    assert [row["content"] for row in shop.listed(session)] == [FAMILY, HANGUL]
    asked = shop.asked(shop.post(session, "?").json["analysis_id"])
    assert contents(asked) == [HANGUL, FAMILY, HANGUL, "?"]


def test_of_fifty_posts_at_once_one_is_taken_and_the_others_are_told_why_not(shop):
    session = shop.begin()
    answers, start = [], threading.Barrier(50)

    def post(number):
        client = shop.client.application.test_client()
        start.wait(60)
        answers.append(
            client.post(
                "/api/chat",
                json={"session_id": session, "message": f"{number}?"},
                headers={"Authorization": f"Bearer {shop.key.secret}"},
            )
        )

    threads = [threading.Thread(target=post, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert (len(taken), len(refused)) == (1, 49), {answer.status_code for answer in answers}
    assert {answer.json["error_code"] for answer in refused} == {"conflict"}
    assert taken[0].json["analysis_id"] in refused[0].json["error"]
    assert refused[0].headers["Retry-After"]
    assert [row["role"] for row in shop.listed(session)] == ["user", "assistant"]
    assert len(shop.rows()) == 1


@pytest.mark.parametrize("end", ["failed", "cancelled", "expired"])
def test_a_turn_that_was_not_answered_frees_the_session_and_does_not_go_along(shop, end):
    session = shop.begin()
    lost = shop.post(session, "Lost?").json["analysis_id"]
    if end == "failed":
        outcomes.fail(shop.desk, shop.claim(lost), UpstreamError("The endpoint failed."), None)
    elif end == "cancelled":
        analyses.cancel(shop.desk, shop.account_id, lost)
    else:
        with shop.desk.database.transaction() as session_of_sql:
            rows = analyses.analyses.move(
                session_of_sql, AnalysisState.EXPIRED, analyses.analyses.Analysis.id == lost
            )
            assert rows
    shown = shop.listed(session)
    assert [row["status"] for row in shown] == [end, end]
    assert (shown[1]["content"], shown[0]["content"]) == (None, "Lost?")
    if end != "expired":  # the sweep, which does not come by here, would say why
        code = {"failed": "upstream_error", "cancelled": "cancelled"}[end]
        assert {row["error"]["code"] for row in shown} == {code}
    again = shop.post(session, "Again?")
    assert again.status_code == 202, again.text
    assert contents(shop.asked(again.json["analysis_id"])) == ["Again?"]


def test_why_a_turn_failed_is_an_answer_with_its_status_and_stays_with_the_message(shop):
    session = shop.begin()
    once = {"Idempotency-Key": "turn-1"}
    lost = shop.post(session, "Lost?", headers=once).json["analysis_id"]
    outcomes.fail(shop.desk, shop.claim(lost), UpstreamError("The endpoint failed."), None)
    failed = shop.post(session, "Lost?", headers=once)
    assert (failed.status_code, failed.json["error_code"]) == (502, "upstream_error")
    assert shop.listed(session)[1]["error"]["message"] == "The endpoint failed."


def test_a_session_whose_worker_died_answers_on_and_is_free_after_the_last_try(shop):
    session = shop.begin()
    made = shop.post(session, "?").json["analysis_id"]
    for _ in range(3):
        assert outcomes.claim(shop.desk, made, "dies", last_try=True)
        with shop.desk.database.transaction() as sql:
            row = analyses.analyses.owned(sql, shop.account_id, made)
            row.lease_until = row.created_at
        assert shop.post(session, "And?").status_code == 409
        outcomes.sweep(shop.desk, bells_waiting=0)
    assert shop.listed(session)[1]["error"]["code"] == "worker_crash"
    assert shop.post(session, "And?").status_code == 202


def test_a_late_answer_of_a_worker_thought_dead_is_still_the_answer(shop):
    session = shop.begin()
    made = shop.post(session, "?").json["analysis_id"]
    claimed = shop.claim(made)
    with shop.desk.database.transaction() as sql:
        row = analyses.analyses.owned(sql, shop.account_id, made)
        row.lease_until = row.created_at
    outcomes.sweep(shop.desk, bells_waiting=0)
    outcomes.succeed(shop.desk, claimed, Answer("Late.", None, None, "stop"), None)
    assert [row["content"] for row in shop.listed(session)] == ["?", "Late."]


def test_a_key_used_for_another_message_is_refused_and_says_nothing(shop):
    session = shop.begin()
    once = {"Idempotency-Key": "turn-1"}
    assert shop.post(session, "One?", headers=once).status_code == 202
    other = shop.post(session, "Two?", headers=once)
    assert (other.status_code, other.json["error_code"]) == (422, "idempotency_mismatch")
    assert len(shop.listed(session)) == 2


def test_history_is_cut_at_its_oldest_end_and_begins_with_the_user(shop_of):
    shop = shop_of(max_context_messages=3)
    session = shop.begin(system="Brief.")
    for number in range(4):
        shop.say(session, f"{number}?", f"{number}.")
    asked = shop.asked(shop.post(session, "4?").json["analysis_id"])
    assert contents(asked) == ["Brief.", "3?", "3.", "4?"]


def test_history_is_cut_to_a_budget_of_tokens(shop_of):
    shop = shop_of(max_context_tokens=400)
    session = shop.begin()
    shop.say(session, "old?", "x" * 1_600)
    shop.say(session, "new?", "new.")
    asked = shop.asked(shop.post(session, "last?").json["analysis_id"])
    assert contents(asked) == ["new?", "new.", "last?"]
    shop.client.post(f"/api/v1/analyses/{shop.rows()[0].id}/cancel")
    alone = shop.asked(shop.post(session, "y" * 1_600).json["analysis_id"])
    assert contents(alone) == ["y" * 1_600]


def test_a_thousand_messages_cost_no_more_statements_than_ten(shop, statements):
    def cost(length):
        session = shop.begin()
        shop.history(session, length)
        statements.clear()
        posted = shop.post(session, "And?")
        assert posted.status_code == 202
        asked = len(statements)
        statements.clear()
        assert len(shop.listed(session, order="desc")) == min(100, 2 * length + 2)
        return asked, len(statements), len(shop.asked(posted.json["analysis_id"]))

    short, long = cost(5), cost(500)
    assert long[:2] == short[:2]
    assert long[2] == shop.desk.settings.max_context_messages + 1


def test_another_accounts_session_is_not_found_whatever_is_done_with_it(shop, shop_of):
    session = shop.begin()
    stranger = shop_of()
    path = f"/api/sessions/{session}"
    answers = [
        stranger.post(session, "?"),
        stranger.client.get(path),
        stranger.client.get(f"{path}/messages"),
        stranger.client.delete(path),
        stranger.post("sess_unknown", "?"),
    ]
    assert [(answer.status_code, answer.json["error_code"]) for answer in answers] == [(404, "not_found")] * 5
    assert "There is no session" in answers[0].json["error"]
    assert stranger.client.get("/api/sessions").json["data"] == []
    assert shop.client.get(path).status_code == 200


@pytest.mark.parametrize("name", ["sess_zzz", "x", "%3Flimit=1", "%00", "한", "x" * 500])
def test_what_is_no_sessions_id_is_not_found_by_the_same_sentence(shop, name):
    for path in (name, f"{name}/messages"):
        answer = shop.client.get(f"/api/sessions/{path}")
        assert (answer.status_code, answer.json["error_code"]) == (404, "not_found")
        if name in {"sess_zzz", "x"}:
            assert answer.json["error"].startswith(f"There is no session {name!r}")


def test_a_session_that_nobody_used_for_long_is_gone_and_its_turns_are_swept(shop, photo):
    session, used = shop.begin(), shop.begin()
    form = {"session_id": session, "message": "?", "images": (io.BytesIO(photo()), "mug.jpg")}
    made = shop.client.post("/api/chat", data=form)
    shop.answer(made.json["analysis_id"])
    for each in (session, used):
        shop.age(each, timedelta(hours=23.9))
    assert shop.client.get(f"/api/sessions/{used}").status_code == 200
    for each in (session, used):
        shop.age(each, timedelta(hours=0.2))
    assert [row["id"] for row in shop.client.get("/api/sessions").json["data"]] == [used]
    gone = shop.post(session, "?")
    assert (gone.status_code, gone.json["error_code"]) == (404, "not_found")
    assert "24 hours" in gone.json["error"]
    while sessions.hide_unused(shop.desk, 2) or sessions.forget(shop.desk, 2):
        pass
    assert shop.rows() == []
    assert shop.client.get("/api/v1/files").json["data"] == []
    assert shop.client.get(f"/api/sessions/{used}").status_code == 200


def test_to_delete_a_session_takes_its_messages_and_images_and_leaves_the_books(shop, photo, desk):
    session = shop.begin()
    form = {"session_id": session, "message": "?", "images": (io.BytesIO(photo()), "mug.jpg")}
    made = shop.client.post("/api/chat", data=form).json["analysis_id"]
    shop.answer(made)
    assert shop.client.delete(f"/api/v1/analyses/{made}").status_code == 409
    deleted = shop.client.delete(f"/api/sessions/{session}")
    assert (deleted.status_code, deleted.json["deleted"]) == (200, True)
    assert shop.client.get(f"/api/sessions/{session}/messages").status_code == 404
    assert shop.client.get(f"/api/v1/analyses/{made}").status_code == 404
    assert shop.client.get("/api/v1/files").json["data"] == []
    assert shop.client.delete(f"/api/sessions/{session}").status_code == 404
    spent = shop.client.get("/api/v1/usage", query_string={"interval": "day"}).json["data"]
    assert sum(row["calls"] for row in spent) == 1


def test_a_session_can_be_deleted_while_it_answers_and_the_call_stays_in_the_books(shop):
    session = shop.begin()
    made = shop.post(session, "?").json["analysis_id"]
    claimed = shop.claim(made)
    call_id = outcomes.reserve(shop.desk, claimed, outcomes.WorstCase(10, None), [])
    assert shop.client.delete(f"/api/sessions/{session}").status_code == 200
    assert shop.rows() == []
    closing = outcomes.Closing.settled(call_id, outcomes.Usage(7, 3), None, None)
    outcomes.succeed(shop.desk, claimed, Answer("Late.", None, None, "stop"), closing)
    [spent] = shop.client.get("/api/v1/usage", query_string={"interval": "day"}).json["data"]
    assert (spent["calls"], spent["usage"]["total_tokens"]) == (1, 10)


@pytest.fixture
def waiting(shop_of):
    """Say something and wait for the answer, while a test does something else; what comes of it."""
    shop = shop_of(request_timeout=60)

    def run(meanwhile):
        session, answers = shop.begin(), []
        poster = threading.Thread(target=lambda: answers.append(shop.post(session, "?")))
        poster.start()
        path = f"/api/sessions/{session}"
        while not (made := shop.client.get(path).json["answering"]):
            time.sleep(0.05)
        assert meanwhile(shop, session, made).status_code == 200
        poster.join(60)
        return answers[0]

    return run


def test_who_waits_for_an_answer_that_is_cancelled_is_told_so_by_a_code_of_its_own(waiting):
    answer = waiting(lambda shop, _, made: shop.client.post(f"/api/v1/analyses/{made}/cancel"))
    assert (answer.status_code, answer.json["error_code"]) == (409, "cancelled")
    assert answer.json["error"] == "This was not answered: cancelled by the client."


def test_who_waits_in_a_session_that_is_deleted_is_told_that_there_is_none(waiting):
    answer = waiting(lambda shop, session, _: shop.client.delete(f"/api/sessions/{session}"))
    assert (answer.status_code, answer.json["error_code"]) == (404, "not_found")
    assert answer.json["error"].startswith("There is no session 'sess_")


@pytest.mark.parametrize("path", ["/api/chat", "/api/chat/stream"])
def test_what_is_sent_again_to_a_session_that_is_gone_is_told_that_there_is_none(shop, path):
    session, once = shop.begin(), {"Idempotency-Key": "turn-1"}
    body = {"session_id": session, "message": "?"}
    shop.client.post(path, json=body, headers=once, buffered=False).close()
    assert shop.client.delete(f"/api/sessions/{session}").status_code == 200
    again = shop.client.post(path, json=body, headers=once)
    assert (again.status_code, again.json["error_code"]) == (404, "not_found")
    assert again.json["error"].startswith(f"There is no session {session!r}")


def test_pages_of_messages_neither_repeat_nor_skip_in_either_order(shop):
    session = shop.begin()
    shop.history(session, 4)
    for order, expected in (("asc", [1, 2, 3, 4, 5, 6, 7, 8]), ("desc", [8, 7, 6, 5, 4, 3, 2, 1])):
        seen, cursor = [], {}
        while cursor is not None:
            query = {"limit": 3, "order": order, **cursor}
            page = shop.client.get(f"/api/sessions/{session}/messages", query_string=query).json
            seen += [row["sequence"] for row in page["data"]]
            cursor = {"cursor": page["next_cursor"]} if page["has_more"] else None
        assert seen == expected


def test_sessions_are_listed_newest_first_in_pages(shop):
    made = [shop.begin(metadata={"n": number}) for number in range(3)]
    first = shop.client.get("/api/sessions?limit=2").json
    assert first["has_more"]
    rest = shop.client.get(f"/api/sessions?limit=2&cursor={first['next_cursor']}").json
    assert {row["id"] for row in first["data"] + rest["data"]} == set(made)
    assert not rest["has_more"]


def test_a_session_tells_what_it_waits_for(shop):
    session = shop.begin()
    made = shop.post(session, "?").json["analysis_id"]
    assert shop.client.get(f"/api/sessions/{session}").json["answering"] == made
    shop.answer(made)
    found = shop.client.get(f"/api/sessions/{session}").json
    assert (found["answering"], found["message_count"]) == (None, 2)


def test_a_session_is_made_once_however_often_it_is_asked_for(shop):
    once = {"Idempotency-Key": "begin"}
    made = [shop.client.post("/api/sessions", json={}, headers=once).json["id"] for _ in range(2)]
    assert made[0] == made[1]
    assert shop.client.post("/api/sessions").status_code == 201


def test_once_without_a_session_leaves_no_session_behind(shop):
    once = {"Idempotency-Key": "one"}
    pending = shop.client.post("/chat", json={"message": "Hello"}, headers=once)
    assert (pending.status_code, pending.json["session_id"]) == (202, None)
    assert contents(shop.claim(pending.json["analysis_id"]).body["messages"]) == ["Hello"]
    assert shop.client.get("/api/sessions").json["data"] == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"max_tokens": 1024, "temperature": 0.2}),
        ({"max_new_tokens": 7}, {"max_tokens": 7, "temperature": 0.2}),
        ({"max_tokens": 7, "temperature": 1.5}, {"max_tokens": 7, "temperature": 1.5}),
        ({"do_sample": False, "temperature": 1.5}, {"max_tokens": 1024, "temperature": 0.0}),
        ({"do_sample": True}, {"max_tokens": 1024, "temperature": 0.2}),
        ({"model": "gpt-4.1-mini"}, {"model": "gpt-4.1-mini"}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    ],
)
def test_how_an_answer_is_to_be_made_reaches_the_endpoint_by_its_own_names(shop, given, sent):
    made = shop.post(shop.begin(), "?", **given)
    body = shop.claim(made.json["analysis_id"]).body
    assert {name: body[name] for name in sent} == sent
    assert not {"max_new_tokens", "do_sample"} & body.keys()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": "  "}, "message"),
        ({"message": "\0"}, "message"),
        ({"message": ["?"]}, "message"),
        ({"message": "?" * 32_001}, "message"),
        ({"message": "?", "max_tokens": 0}, "max_tokens"),
        ({"message": "?", "max_tokens": 1, "max_new_tokens": 2}, "max_new_tokens"),
        ({"message": "?", "temperature": 3}, "temperature"),
        ({"message": "?", "do_sample": "no"}, "do_sample"),
        ({"message": "?", "images": [{}]}, "images"),
        ({"message": "?", "tools": []}, "tools"),
        ({"message": "?", "tools": [1]}, "tools"),
        ({"message": "?", "tools": [{}]}, "tools"),
        ({"message": "?", "tools": [{"type": "function", "function": {"name": ""}}]}, "tools"),
        ({"message": "?", "tools": [{"type": "function", "function": {"name": "a"}}] * 2}, "tools"),
        ({"message": "?", "tool_choice": 1}, "tool_choice"),
        ({"message": "?", "response_format": {"type": "yaml"}}, "response_format"),
        ({"message": "?", "messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "I say so."}]}, "messages"),
        ({"messages": [{"role": "tool", "tool_call_id": 7, "content": ""}]}, "messages"),
    ],
)
def test_what_makes_no_sense_is_a_400_that_names_the_field_and_says_nothing(shop, body, field):
    session = shop.begin()
    answer = shop.post(session, **body)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request"), answer.text
    assert answer.json["details"]["field"] == field
    assert shop.listed(session) == []


@pytest.mark.parametrize("system", [None, "", " \n"])
def test_a_system_prompt_that_says_nothing_is_none(shop, system):
    session = shop.begin(system=system)
    assert shop.client.get(f"/api/sessions/{session}").json["system"] is None
    assert contents(shop.asked(shop.post(session, "?").json["analysis_id"])) == ["?"]


@pytest.mark.parametrize(
    ("path", "given", "words"),
    [
        ("", {"json": {"metadata": []}}, "metadata: Must be a JSON object."),
        ("", {"json": {"metadata": "x"}}, "metadata: Must be a JSON object."),
        ("?cursor=zzz", {}, "cursor: Take next_cursor from the page before."),
        ("/{session}/messages?cursor=zzz", {}, "cursor: Take next_cursor from the page before."),
        ("/{session}/messages?cursor=-1", {}, "cursor: Take next_cursor from the page before."),
    ],
)
def test_like_mistakes_are_told_by_like_sentences(shop, path, given, words):
    address = f"/api/sessions{path.format(session=shop.begin())}"
    refused = (shop.client.post if given else shop.client.get)(address, **given)
    assert (refused.status_code, refused.json["error"]) == (400, words)


def test_tools_in_a_form_are_refused_by_a_word_where_they_belong(shop):
    form = {"session_id": shop.begin(), "message": "?", "tools": "[]"}
    refused = shop.client.post("/api/chat", data=form, content_type="multipart/form-data")
    assert (refused.status_code, refused.json["details"]["field"]) == (400, "tools")
    assert refused.json["error"].startswith("tools: Send it as JSON")
