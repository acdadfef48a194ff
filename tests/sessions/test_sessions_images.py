"""Images in a session: where they come from, and which of those shown earlier are shown again."""

import base64
import io

import pytest


@pytest.fixture
def showing(shop, photo):
    """Say something with photos of these colours, and let it be answered."""

    def show(session, words, *colours, answered=True, **more):
        files = [(io.BytesIO(photo(colour)), f"{colour}.jpg") for colour in colours]
        made = shop.client.post(
            "/api/chat", data={"session_id": session, "message": words, "images": files, **more}
        )
        assert made.status_code == 202, made.text
        if answered:
            shop.answer(made.json["analysis_id"])
        return made.json["analysis_id"]

    return show


def images_of(shop, analysis_id):
    """The names of the images that a turn is asked with, in the order of their places in its messages."""
    row = next(row for row in shop.rows() if row.id == analysis_id)
    return [image.file.name for image in row.images]


def places(asked):
    parts = [part for message in asked if isinstance(message["content"], list) for part in message["content"]]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def test_images_are_kept_in_their_places_by_default(shop, showing):
    session = shop.begin()
    showing(session, "First", "red", "blue", detail="high")
    showing(session, "Second", "green")
    last = showing(session, "Third", "teal", answered=False)
    assert images_of(shop, last) == ["red.jpg", "blue.jpg", "green.jpg", "teal.jpg"]
    claimed = shop.claim(last)
    assert places(claimed.body["messages"]) == [f"vitrine:image/{n}" for n in range(4)]
    assert len(set(claimed.digests)) == 4
    first = claimed.body["messages"][0]["content"]
    assert [part.get("text") or part["image_url"]["detail"] for part in first] == ["First", "high", "high"]


@pytest.mark.parametrize(("again", "shown"), [("last", ["green.jpg"]), ("none", [])])
def test_images_that_are_not_shown_again_leave_a_word_in_their_place(shop, showing, again, shown):
    session = shop.begin(images=again)
    showing(session, "First", "red", "blue")
    showing(session, "Second", "green")
    last = shop.post(session, "Third").json["analysis_id"]
    assert images_of(shop, last) == shown
    assert "Images shown here: 2" in shop.asked(last)[0]["content"]


def test_a_new_image_takes_the_place_of_the_last(shop, showing):
    session = shop.begin(images="last")
    showing(session, "First", "red")
    last = showing(session, "Second", "green", answered=False)
    assert images_of(shop, last) == ["green.jpg"]


def test_no_more_images_are_shown_than_a_request_may_have_and_the_newest_stay(shop_of, photo):
    shop = shop_of(max_images=2)
    session = shop.begin()
    for colour in ("red", "green", "blue"):
        data = {
            "session_id": session,
            "message": colour,
            "images": (io.BytesIO(photo(colour)), f"{colour}.jpg"),
        }
        made = shop.client.post("/api/chat", data=data).json["analysis_id"]
        if colour != "blue":
            shop.answer(made)
    assert images_of(shop, made) == ["green.jpg", "blue.jpg"]
    data["images"] = [(io.BytesIO(photo()), f"{number}.jpg") for number in range(3)]
    assert shop.client.post("/api/chat", data=data).status_code == 400


def test_an_image_may_be_bytes_an_uploaded_file_or_an_address(shop, photo):
    uploaded = shop.client.post("/api/v1/files", data={"file": (io.BytesIO(photo("teal")), "teal.jpg")}).json
    given = [
        {"base64": base64.b64encode(photo()).decode(), "name": "red.jpg"},
        {"base64": f"data:image/jpeg;base64,{base64.b64encode(photo('blue')).decode()}"},
        {"file_id": uploaded["id"]},
        {"url": "https://shop.example/mug.jpg"},
    ]
    session = shop.begin()
    made = shop.post(session, "Which?", images=given)
    assert made.status_code == 202, made.text
    [message, _] = shop.listed(session)
    assert [image["file_name"] for image in message["images"]] == ["red.jpg", "unnamed", "teal.jpg", None]
    assert message["images"][3]["url"] == "https://shop.example/mug.jpg"
    assert (message["content"], message["role"]) == ("Which?", "user")


def test_a_message_lists_its_own_images_and_not_those_shown_again(shop, showing):
    session = shop.begin()
    showing(session, "First", "red")
    showing(session, "Second", "green")
    rows = shop.listed(session)
    assert [[image["file_name"] for image in row["images"]] for row in rows] == [
        ["red.jpg"],
        [],
        ["green.jpg"],
        [],
    ]


def test_images_count_against_the_budget_of_tokens(shop_of, photo):
    shop = shop_of(max_context_tokens=300)
    session = shop.begin()
    data = {"session_id": session, "message": "Old", "images": (io.BytesIO(photo()), "red.jpg")}
    shop.answer(shop.client.post("/api/chat", data=data).json["analysis_id"])
    shop.say(session, "New", "x" * 400)
    assert shop.asked(shop.post(session, "?").json["analysis_id"])[0]["content"] == "New"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"images": [{"base64": "AAAA"}]}, 400, "invalid_image"),
        ({"images": [{"file_id": "file_of_somebody"}]}, 404, "not_found"),
        ({"images": [{"url": "http://127.0.0.1/"}]}, 400, "invalid_request"),
        ({"model": "nobodys"}, 404, "model_not_found"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_says_nothing(shop, change, status, code):
    session = shop.begin()
    answer = shop.post(session, "?", **change)
    assert (answer.status_code, answer.json["error_code"]) == (status, code), answer.text
    assert shop.listed(session) == []
    assert shop.rows() == []


def test_images_need_a_message_of_the_users(shop, photo, call):
    session = shop.begin()
    shop.say(session, "?", calls=[call("a")])
    tool = {"role": "tool", "tool_call_id": "a", "content": "7"}
    image = {"base64": base64.b64encode(photo()).decode()}
    assert shop.post(session, messages=[tool], images=[image]).status_code == 400
    assert shop.post(session, "And?", messages=[tool], images=[image]).status_code == 202
