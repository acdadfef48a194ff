"""Function calling in a session: who is called answers each call once, and exchanges are never torn apart."""

import pytest

TOOLS = [{"type": "function", "function": {"name": "stock", "parameters": {"type": "object"}}}]


def tool(call_id, content="7 left"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.fixture
def calling(shop, call):
    """A session whose last answer called two tools."""
    session = shop.begin()
    shop.say(session, "In stock?", calls=[call("call_1"), call("call_2", "price")], tools=TOOLS)
    return session


def test_calls_come_back_as_a_message_and_their_answers_go_along_with_them(shop, calling, call):
    assert shop.listed(calling)[1]["tool_calls"] == [call("call_1"), call("call_2", "price")]
    assert shop.listed(calling)[1]["content"] is None
    answers = [tool("call_2", "$9"), tool("call_1")]
    posted = shop.post(calling, messages=answers, tools=TOOLS, tool_choice="auto", parallel_tool_calls=False)
    body = shop.claim(posted.json["analysis_id"]).body
    assert body["messages"] == [
        {"role": "user", "content": "In stock?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("call_1"), call("call_2", "price")],
        },
        *answers,
    ]
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == (TOOLS, "auto", False)
    roles = [(row["role"], row["tool_call_id"]) for row in shop.listed(calling)]
    assert roles[2:] == [("tool", "call_2"), ("tool", "call_1"), ("assistant", None)]


def test_the_user_may_say_something_behind_the_answers(shop, calling):
    made = shop.post(calling, "Only in red.", messages=[tool("call_1"), tool("call_2")])
    assert shop.asked(made.json["analysis_id"])[-1] == {"role": "user", "content": "Only in red."}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [tool("call_1")]},
        {"messages": [tool("call_1"), tool("call_3")]},
        {"messages": [tool("call_1"), tool("call_2"), tool("call_2")]},
        {"messages": [tool("call_1"), {"role": "tool", "content": "7"}]},
        {"messages": [tool("call_1"), tool(None)]},
        {"messages": [tool("call_1"), tool("")]},
        {"messages": [tool("call_1"), {"role": "user", "content": "?"}, tool("call_2")]},
        {"message": "Never mind."},
    ],
)
def test_unknown_missing_and_double_ids_are_refused_and_say_nothing(shop, calling, body):
    answer = shop.post(calling, **body)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_tool_call"), answer.text
    assert len(shop.listed(calling)) == 2
    assert shop.post(calling, messages=[tool("call_1"), tool("call_2")]).status_code == 202


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"message": "Hello"}, "message", "Answer these tool calls first"),
        (
            {"messages": [tool("call_1")], "message": "?"},
            "message",
            "by a message of the role tool: 'call_2'.",
        ),
        ({"messages": [tool("call_1")]}, "messages", "call_2"),
        ({"messages": [tool("call_1"), tool("call_9")]}, "messages.1.tool_call_id", "answers no tool call"),
        ({"messages": [{"role": "nobody", "content": ""}]}, "messages", "messages.0.role: Must be one of"),
        ({"message": "?", "images": [{}]}, "images", "images.0: Give one of file_id, base64 and url."),
    ],
)
def test_a_refusal_names_the_field_as_the_client_wrote_it(shop, calling, body, field, words):
    refused = shop.post(calling, **body)
    assert (refused.status_code, refused.json["details"]["field"]) == (400, field)
    assert words in refused.json["error"]


def test_where_nothing_was_called_nothing_is_answered(shop):
    session = shop.begin()
    for _ in range(2):
        answer = shop.post(session, messages=[tool("call_1")])
        assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_tool_call")
        shop.say(session, "Hello")


def test_a_call_is_answered_once_more_where_its_answer_was_not_heard(shop, calling):
    answers = [tool("call_1"), tool("call_2")]
    lost = shop.post(calling, messages=answers).json["analysis_id"]
    shop.client.post(f"/api/v1/analyses/{lost}/cancel")
    again = shop.post(calling, messages=answers)
    assert again.status_code == 202, again.text
    assert len(shop.asked(again.json["analysis_id"])) == 4


def test_calls_without_ids_of_their_own_are_given_some_that_stay(shop, call):
    session = shop.begin()
    nameless = {key: value for key, value in call("x").items() if key != "id"}
    shop.say(session, "?", calls=[nameless, call("twice"), call("twice"), "nonsense"])
    ids = [each["id"] for each in shop.listed(session)[1]["tool_calls"]]
    assert len(set(ids)) == 3
    posted = shop.post(session, messages=[tool(call_id) for call_id in ids])
    assert posted.status_code == 202, posted.text
    asked = shop.asked(posted.json["analysis_id"])
    assert [each["id"] for each in asked[1]["tool_calls"]] == ids


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6])
def test_whatever_is_cut_off_answers_never_lose_their_calls(shop_of, call, most):
    shop = shop_of(max_context_messages=most)
    session = shop.begin()
    shop.say(session, "One?", calls=[call("a"), call("b")])
    shop.say(session, messages=[tool("a"), tool("b")], answer="1.")
    shop.say(session, "Two?", calls=[call("c")])
    asked = shop.asked(shop.post(session, messages=[tool("c")]).json["analysis_id"])
    called = set()
    for message in asked:
        called |= {each["id"] for each in message.get("tool_calls", [])}
        assert message["role"] != "tool" or message["tool_call_id"] in called
    assert [message["role"] for message in asked[-2:]] == ["assistant", "tool"]
    assert len(asked) <= most + 1
    assert asked[0]["role"] == "user" or most == 1


def test_calls_that_wait_for_answers_stay_although_they_are_over_the_budget(shop_of, call):
    shop = shop_of(max_context_tokens=100)
    session = shop.begin()
    long = call("a") | {"function": {"name": "stock", "arguments": "x" * 4_000}}
    shop.say(session, "One?", calls=[long])
    asked = shop.asked(shop.post(session, messages=[tool("a")]).json["analysis_id"])
    assert [message["role"] for message in asked] == ["assistant", "tool"]
