"""An answer followed while it is made, in this process; the tests play the endpoint."""

import io
import json
import threading
from datetime import timedelta

import pytest
import requests
from sqlalchemy import func
from typist import events, stages_of, text_of
from webprocess import WebProcess

from core.services import analyses, outcomes

PIECES = ["A ", "red ", "mug ", "with ", "a ", "white ", "rim."]


def until(told, name, count=1):
    """The events up to so many of a name."""
    seen = []
    while sum(event.name == name for event in seen) < count:
        seen.append(next(told))
    return seen


def test_stages_tokens_result_and_done_come_in_this_order_and_the_tokens_are_the_answer(shop, typist):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    typist.type(*PIECES)
    typist.end()
    seen = list(told)
    names = [event.name for event in seen]
    assert stages_of(seen) == ["queued", "preparing", "asking"]
    assert names == ["status"] * 3 + ["token"] * names.count("token") + ["result", "done"]
    result = seen[-2].data
    assert text_of(seen) == result["answer"] == shop.look(analysis_id).answer == "".join(PIECES)
    assert (result["streamed"], result["status"], result["usage"]["total_tokens"]) == (True, "completed", 120)
    assert seen[-1].data == {"id": analysis_id, "status": "completed"}
    assert typist.calls[0]["stream_options"] == {"include_usage": True}


def test_a_token_comes_while_the_answer_is_still_being_made(shop, typist):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    for piece in PIECES:
        typist.type(piece)
        assert text_of(until(told, "token")) == piece
    typist.end()
    assert [event.name for event in told] == ["result", "done"]


def test_whoever_comes_back_while_it_is_made_is_told_the_rest_and_nothing_twice(shop, typist):
    analysis_id, answer, told = shop.ask()
    shop.work(analysis_id)
    seen = until(told, "status", 3)
    for piece in PIECES:
        typist.type(piece)
        seen += until(told, "token")
        answer.close()
        told = shop.follow(analysis_id, seen[-1].id)
    typist.end()
    seen += list(told)
    assert (text_of(seen), stages_of(seen)) == ("".join(PIECES), ["queued", "preparing", "asking"])
    assert [event.name for event in seen[-2:]] == ["result", "done"]


@pytest.mark.parametrize("wiped", [False, True])
def test_whoever_comes_back_when_it_is_complete_is_told_the_rest_from_the_database(shop, typist, wiped):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    seen = []
    for piece in PIECES:
        typist.type(piece)
        seen += until(told, "token")
    typist.end()
    seen += list(told)
    if wiped:
        shop.desk.events._redis.flushdb()
    for place, event in enumerate(seen[:-1], 1):
        again = list(shop.follow(analysis_id, event.id))
        assert text_of(seen[:place]) + text_of(again) == "".join(PIECES)
        assert "status" not in {one.name for one in again}
        assert [one.name for one in again if one.name != "token"] == [
            one.name for one in seen[place:] if one.name in {"result", "done"}
        ]
    assert text_of(shop.follow(analysis_id)) == "".join(PIECES)


def test_nothing_follows_done_and_what_is_no_event_id_is_refused(shop, typist):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    typist.type("Red.")
    typist.end()
    path = f"/api/v1/analyses/{analysis_id}/stream"
    last = list(told)[-1].id
    assert shop.client.get(path, headers={"Last-Event-ID": last}).status_code == 204
    for wrong in (
        "x",
        "asking.0.00000000",
        f"{analysis_id}.asking",
        f"{analysis_id}.asking.1",
        f"{analysis_id}.asking.1.zz",
        f"{analysis_id}.other.1.00000000",
        f"{analysis_id}.asking.-1.00000000",
        "9" * 99,
    ):
        refused = shop.client.get(path, headers={"Last-Event-ID": wrong})
        assert (refused.status_code, refused.json["error_code"]) == (400, "invalid_request")
    made_up = list(shop.follow(analysis_id, f"{analysis_id}.asking.3.0000abcd"))
    assert [event.name for event in made_up] == ["result", "done"]
    assert made_up[0].data["streamed"] is False


def test_the_place_in_another_answer_is_refused_by_a_get_and_forgotten_by_what_is_made_anew(shop, typist):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    typist.type("One. ")
    seen = until(told, "token")
    typist.type("Two.")
    typist.end()
    seen += list(told)
    other, unheard, _ = shop.ask()
    unheard.close()
    refused = shop.client.get(
        f"/api/v1/analyses/{other}/stream", headers={"Last-Event-ID": seen[-1].id}, buffered=False
    )
    assert (refused.status_code, refused.json["error_code"]) == (400, "invalid_request")
    for stale in seen:
        new, _, told = shop.ask(last=stale.id, question=stale.id)
        shop.work(new)
        typist.type("One. ", "Three.")
        typist.end()
        again = list(told)
        assert stages_of(again) == ["queued", "preparing", "asking"]
        assert text_of(again) == again[-2].data["answer"] == "One. Three."
        assert again[-2].data["streamed"] is True


HARD = "한국어 빨간 머그 👩‍👩‍👧 e\u0301 \U0001f1f0\U0001f1f7 ᄒ\u1161\u11ab \u2028 done"
SPLIT = json.loads(
    f'["{chr(92)}ud83d", "{chr(92)}ude00 ", "lone {chr(92)}ud83d", "!", "{chr(92)}ude00", "nul \\u0000 end"]'
)


@pytest.mark.parametrize(
    "pieces", [list(HARD), [HARD[:7], HARD[7:9], HARD[9:]], SPLIT], ids=["each", "cut", "halves"]
)
def test_characters_of_every_kind_are_whole_wherever_the_endpoint_cuts_them(shop, typist, pieces):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    typist.type(*pieces)
    typist.end()
    seen = list(told)
    answer = shop.look(analysis_id).answer
    assert text_of(seen).encode() == answer.encode()
    assert answer == (HARD if pieces is not SPLIT else "😀 lone ?!?nul  end")
    for event in seen[3:-2]:
        assert text_of(seen[: seen.index(event) + 1]) + text_of(shop.follow(analysis_id, event.id)) == answer


def test_a_log_that_is_wiped_while_the_answer_is_made_costs_nobody_a_token(shop, typist):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    typist.type(*PIECES[:3])
    seen = until(told, "token")
    while text_of(seen) != "".join(PIECES[:3]):
        seen += until(told, "token")
    shop.desk.events._redis.flushdb()
    typist.type(PIECES[3])
    seen += until(told, "token")  # told on, while it is still being made
    late = shop.follow(analysis_id)
    assert text_of(until(late, "token")) == "".join(PIECES[:4])
    typist.type(*PIECES[4:])
    typist.end()
    seen += list(told)
    assert text_of(seen) == "".join(PIECES) == shop.look(analysis_id).answer


def test_several_who_follow_one_answer_are_all_told_all_of_it(shop, typist):
    analysis_id, _, told = shop.ask()
    others = [shop.follow(analysis_id) for _ in range(4)]
    shop.work(analysis_id)
    typist.type(*PIECES)
    typist.end()
    for one in (told, *others):
        seen = list(one)
        assert (text_of(seen), seen[-1].name) == ("".join(PIECES), "done")


def test_an_endpoint_that_breaks_off_ends_the_stream_with_an_error_and_what_came_is_kept(shop, typist):
    analysis_id, _, told = shop.ask()
    shop.work(analysis_id)
    typist.type("A red ")
    until(told, "token")
    typist.break_off()
    *_, error, done = told
    assert (error.name, error.data["error_code"], done.data["status"]) == (
        "error",
        "upstream_error",
        "failed",
    )
    row = shop.look(analysis_id)
    assert (row.state, row.answer, len(typist.calls)) == ("failed", "A red ", 1)
    assert [call.state for call in shop.calls(analysis_id)] == ["unknown"]  # paid for at its worst case
    again = list(shop.follow(analysis_id))
    assert (text_of(again), [event.name for event in again[-2:]]) == ("A red ", ["error", "done"])


def test_an_endpoint_that_breaks_off_before_it_said_anything_is_asked_again_in_silence(shop, typist):
    analysis_id, _, told = shop.ask()
    typist.break_off()
    shop.work(analysis_id).join(60)
    assert shop.look(analysis_id).state == "queued"
    shop.make_due(analysis_id)
    shop.work(analysis_id)
    typist.type(*PIECES)
    typist.end()
    seen = list(told)
    assert text_of(seen) == "".join(PIECES)
    assert "error" not in {event.name for event in seen}
    assert len(typist.calls) == 2


@pytest.mark.parametrize("second", [PIECES, ["Another ", "answer ", "altogether."]], ids=["alike", "another"])
def test_an_answer_begun_anew_repeats_nothing_and_the_result_says_whether_it_is_what_was_told(
    shop, typist, second
):
    """As when a worker is killed: nobody records how its call ended, and another takes over."""
    analysis_id, _, told = shop.ask()
    first = shop.work(analysis_id)
    typist.type(*PIECES[:3])
    seen = until(told, "token")
    while text_of(seen) != "".join(PIECES[:3]):
        seen += until(told, "token")
    shop.make_due(analysis_id, state="queued", lease_until=None, fence=99)
    break_off_first = typist.leave()
    shop.work(analysis_id)
    typist.type(*second)
    typist.end()
    seen += list(told)
    result, answer = seen[-2].data, "".join(second)
    assert (seen[-2].name, result["answer"]) == ("result", answer)
    assert result["streamed"] is (second is PIECES)
    assert text_of(seen) == (answer if second is PIECES else "".join(PIECES[:3]))
    break_off_first()
    first.join(60)
    assert shop.look(analysis_id).answer == answer


@pytest.mark.parametrize("way", ["submitted", "followed"])
def test_a_client_that_leaves_cancels_the_call_where_it_said_so_and_what_came_is_kept(shop, typist, way):
    if way == "submitted":
        analysis_id, answer, told = shop.ask(on_leave="cancel")
    else:
        analysis_id, first, _ = shop.ask()
        first.close()
        path = f"/api/v1/analyses/{analysis_id}/stream?on_leave=cancel"
        answer = shop.client.get(path, buffered=False)
        told = events(answer.response)
    worker = shop.work(analysis_id)
    typist.type("A red ")
    until(told, "token")
    answer.close()
    assert shop.look(analysis_id).state == "cancelled"
    while not typist.hung_up.wait(0.2):  # the worker lets go of the endpoint, which stops to type
        typist.type("mug ")
    worker.join(60)
    row = shop.look(analysis_id)
    assert (row.state, row.answer.startswith("A red "), row.prompt_cost is not None) == (
        "cancelled",
        True,
        True,
    )
    assert [call.state for call in shop.calls(analysis_id)] == ["unknown"]


def typed_until_hung_up(typist):
    """Type on until the worker lets go of the endpoint; the thread that does."""

    def type_on():
        while not typist.hung_up.wait(0.05):
            typist.type("mug ")

    thread = threading.Thread(target=type_on)
    thread.start()
    return thread


@pytest.mark.parametrize("end", ["cancelled", "expired"])
@pytest.mark.parametrize("comes_back", [False, True], ids=["stays", "comes back"])
def test_of_an_answer_that_is_ended_all_that_is_kept_is_told_before_the_error(
    shop, typist, monkeypatch, end, comes_back
):
    monkeypatch.setattr(analyses, "LET_GO", timedelta(minutes=1))  # however slow this machine is
    analysis_id, answer, told = shop.ask()
    shop.work(analysis_id)
    typist.type("A red ")
    seen = until(told, "token")
    if end == "cancelled":
        shop.client.post(f"/api/v1/analyses/{analysis_id}/cancel")
    else:
        shop.make_due(analysis_id, deadline_at=func.now())
        outcomes.sweep(shop.desk, bells_waiting=0)
    typing = typed_until_hung_up(typist)
    if comes_back:
        answer.close()
        told = shop.follow(analysis_id, seen[-1].id)
    seen += told
    typing.join(60)
    assert [event.name for event in seen[-2:]] == ["error", "done"]
    assert seen[-1].data["status"] == end
    assert text_of(seen) == shop.look(analysis_id).answer
    assert text_of(seen).startswith("A red mug ")


def test_behind_an_error_no_text_is_told_although_more_was_kept(shop, typist, monkeypatch):
    monkeypatch.setattr(analyses, "LET_GO", timedelta(0))
    analysis_id, _, told = shop.ask()
    worker = shop.work(analysis_id)
    typist.type("A red ")
    seen = until(told, "token")
    shop.client.post(f"/api/v1/analyses/{analysis_id}/cancel")
    seen += told
    typed_until_hung_up(typist).join(60)
    worker.join(60)
    assert text_of(seen) == "A red "
    assert shop.look(analysis_id).answer.startswith("A red mug ")
    assert [event.name for event in shop.follow(analysis_id, seen[-2].id)] == ["done"]


def test_a_client_that_leaves_changes_nothing_where_it_did_not_say_so(shop, typist):
    analysis_id, answer, told = shop.ask()
    worker = shop.work(analysis_id)
    typist.type("A red ")
    until(told, "token")
    answer.close()
    typist.type("mug.")
    typist.end()
    worker.join(60)
    assert (shop.look(analysis_id).state, shop.look(analysis_id).answer) == ("completed", "A red mug.")


def test_a_structured_answer_is_streamed_and_its_repair_is_in_the_result(shop, typist):
    form = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
    wanted = json.dumps({"type": "json_schema", "json_schema": {"name": "c", "schema": form}})
    answer = shop.client.post(
        "/api/v1/analyses",
        data={
            "question": "?!",
            "stream": "true",
            "response_format": wanted,
            "file": (open_photo(shop), "p.jpg"),
        },
    )
    assert answer.status_code == 202, answer.text
    told = shop.follow(answer.json["id"])
    shop.work(answer.json["id"])
    typist.type('{"color": ', '"red"}')
    typist.end()
    typist.type('{"colour": ', '"red"}')
    typist.end()
    seen = list(told)
    result = seen[-2]
    assert (result.name, result.data["data"], result.data["streamed"]) == ("result", {"colour": "red"}, False)
    assert text_of(seen) == '{"color": "red"}'
    assert [call.get("stream", False) for call in typist.calls] == [True, False]


def open_photo(shop):
    return io.BytesIO(shop.photo())


def test_whoever_comes_new_to_an_answer_begun_anew_is_told_the_new_one(shop, typist):
    analysis_id, _, told = shop.ask()
    first = shop.work(analysis_id)
    typist.type("An answer ", "of a worker ")
    seen = until(told, "token")
    while text_of(seen) != "An answer of a worker ":
        seen += until(told, "token")
    shop.make_due(analysis_id, state="queued", lease_until=None, fence=99)
    break_off_first = typist.leave()
    second = shop.work(analysis_id)
    typist.type(*PIECES)
    typist.end()
    second.join(60)
    new = list(shop.follow(analysis_id))
    assert text_of(new) == "".join(PIECES)
    break_off_first()
    first.join(60)


def test_an_endpoint_that_does_not_stream_is_followed_all_the_same(shop, typist):
    analysis_id, _, told = shop.ask()
    typist.streams = False
    shop.work(analysis_id)
    typist.type(*PIECES)
    typist.end()
    seen = list(told)
    assert text_of(seen) == "".join(PIECES)
    assert seen[-2].data["streamed"] is True


def test_a_process_that_stops_ends_its_streams_with_a_word_and_another_goes_on(
    shop, typist, environment, folder, key
):
    server = WebProcess(environment, folder)
    url = f"{server.url}/api/v1/image/analyze-stream"
    files, fields = {"file": ("p.jpg", shop.photo())}, {"question": "?!", "on_leave": "cancel"}
    headers = {"Authorization": f"Bearer {key.secret}"}
    with requests.post(url, headers=headers, files=files, data=fields, stream=True, timeout=60) as answer:
        analysis_id = answer.headers["Location"].rsplit("/", 1)[1]
        shop.work(analysis_id)
        typist.type("A red ")
        told = events(answer.iter_content(None))
        seen = until(told, "token")
        server.stop()
        [closing] = told
    assert (closing.name, closing.id) == ("closing", None)
    typist.type("mug.")
    typist.end()
    seen += shop.follow(analysis_id, seen[-1].id)
    assert (text_of(seen), seen[-1].name) == ("A red mug.", "done")
