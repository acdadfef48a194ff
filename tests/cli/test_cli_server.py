"""Which server is asked, and what is said when it does not do what it should."""

import json
import os

import pytest

KEY = "vt_a-key-that-nobody-may-see"


def local_json(folder, **addresses):
    """A running local stack, as it writes itself down."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "local.json").write_text(json.dumps({"pid": 1, "url": "", "api_key": "", **addresses}))


@pytest.fixture
def mug(nobody, photo):
    return nobody.write("mug.jpg", photo())


def test_without_a_server_the_sentence_says_how_to_get_one(nobody, mug):
    done = nobody("ask", mug, "What is it?")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "vitrine: There is no Vitrine server to ask: start one with `python3 dev up`, "
        "or set VITRINE_URL and VITRINE_API_KEY.\n"
    )


def test_a_key_that_does_not_open_is_named_but_not_shown(quick, nobody, mug):
    done = nobody("ask", mug, "What is it?", "--url", quick.url, "--key", KEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{quick.url} does not accept the API key: check VITRINE_API_KEY" in done.stderr
    assert "(request cli-" in done.stderr
    assert KEY not in done.stderr


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://shop.example", "http://", "http://x:y", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_as_such(nobody, mug, url):
    done = nobody("ask", mug, "What is it?", "--url", url, "--key", KEY)
    assert done.returncode == 2
    assert "must be an address such as http://127.0.0.1:8000" in done.stderr
    assert KEY not in done.stderr


@pytest.mark.parametrize("key", ["vt_ä", "vt_a\nb", "vt a"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(nobody, mug, key):
    done = nobody("ask", mug, "What is it?", "--url", "http://127.0.0.1:9", "--key", key)
    assert done.returncode == 2
    assert key not in done.stderr
    assert "is not an API key" in done.stderr


def test_a_server_that_is_not_there_is_named_without_its_password(nobody, mug):
    done = nobody("ask", mug, "What is it?", "--url", "http://user:pass@127.0.0.1:9", "--key", KEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "vitrine: Nothing answers at http://127.0.0.1:9: is the server running, and is VITRINE_URL right?\n"
    )


def test_a_stack_that_was_killed_is_told_by_its_home(nobody, mug):
    local_json(nobody.folder / "no-home", url="http://127.0.0.1:9", api_key=KEY)
    done = nobody("ask", mug, "What is it?")
    assert done.returncode == 1
    assert f"Nothing answers at http://127.0.0.1:9, which {nobody.folder}/no-home names" in done.stderr
    assert "python3 dev up" in done.stderr


def test_a_local_stack_is_found_from_any_folder_below_it(nobody, photo, scripted, analysis):
    del nobody.environment["VITRINE_HOME"]
    local_json(nobody.folder / ".vitrine", url=scripted.url, api_key=KEY)
    scripted.say(analysis())
    nobody.folder = nobody.folder / "photos" / "summer"
    done = nobody("ask", nobody.write("p.jpg", photo()), "What is it?")
    assert (done.returncode, done.stdout) == (0, "It is red.\n")
    assert scripted.asked[0][2]["Authorization"] == f"Bearer {KEY}"


def test_a_local_stack_s_key_is_sent_to_no_other_server(nobody, mug, scripted):
    local_json(nobody.folder / "no-home", url="http://127.0.0.1:8000", api_key=KEY)
    done = nobody("ask", mug, "What is it?", "--url", scripted.url)
    assert done.returncode == 1
    assert f"There is no API key for {scripted.url}: set VITRINE_API_KEY." in done.stderr
    assert scripted.asked == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_somebody_else_put_into_a_folder_is_not_believed(nobody, mug, scripted):
    local_json(nobody.folder / "no-home", url=scripted.url, api_key=KEY)
    os.chown(nobody.folder / "no-home" / "local.json", 1234, 1234)
    assert "There is no Vitrine server to ask" in nobody("ask", mug, "What is it?").stderr
    assert scripted.asked == []


def test_neither_a_proxy_nor_netrc_comes_between_a_command_and_this_machine(
    scripted_user, scripted, analysis, photo
):
    host = scripted.url.split("/")[2].split(":")[0]
    scripted_user.write(".netrc", f"machine {host} login eve password eve".encode())
    scripted_user.environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    scripted.say(analysis())
    assert scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?").returncode == 0
    assert scripted.asked[0][2]["Authorization"] == "Bearer vt_scripted-secret"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(scripted_user, scripted, analysis, refusal, photo, status):
    scripted.say(refusal("unavailable", "Busy."), status=status, Retry_After="1")
    scripted.say(analysis())
    done = scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?")
    assert (done.returncode, done.stdout) == (0, "It is red.\n")
    assert f"The server is busy ({status}); trying again in 1 s." in done.stderr


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "3600"}])
def test_a_server_that_is_busy_for_long_is_not_waited_for(scripted_user, scripted, refusal, photo, headers):
    scripted.say(refusal("budget_exceeded", "The budget of this API key is used up."), status=429, **headers)
    done = scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?")
    assert done.returncode == 1
    assert done.stderr == "vitrine: The budget of this API key is used up (request req_7).\n"
    assert len(scripted.asked) == 1


def test_a_submission_that_was_accepted_before_the_line_broke_is_not_paid_twice(
    scripted_user, scripted, analysis, photo
):
    scripted.hang_up()
    scripted.say(analysis())
    done = scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?")
    assert (done.returncode, done.stdout) == (0, "It is red.\n")
    first, again = (headers["Idempotency-Key"] for _, _, headers in scripted.asked)
    assert first == again


def test_a_submission_that_is_still_being_accepted_is_sent_again(
    scripted_user, scripted, analysis, refusal, photo
):
    scripted.hang_up()
    scripted.say(refusal("request_in_flight", "Send it again in a moment."), status=409, Retry_After="1")
    scripted.say(analysis())
    assert scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?").returncode == 0
    assert scripted.methods == ["POST", "POST", "POST"]


def test_two_submissions_have_two_idempotency_keys(scripted_user, scripted, analysis, photo):
    scripted.say(analysis())
    for _ in range(2):
        assert scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?").returncode == 0
    assert len({headers["Idempotency-Key"] for _, _, headers in scripted.asked}) == 2


def test_a_server_that_is_away_while_it_works_is_looked_for_again(scripted_user, scripted, analysis, photo):
    scripted.say(analysis(status="running"), status=202)
    scripted.hang_up()
    scripted.say(analysis())
    done = scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?")
    assert done.returncode == 0
    assert "Looking again in 1 s." in done.stderr


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, b"<html>", {}), "answered 200, but not as a Vitrine server does."),
        ((502, b"Bad Gateway", {}), "answered 502, but not as a Vitrine server does."),
        ((301, b"", {"Location": "https://shop.example/api"}), "leads on to https://shop.example/api"),
    ],
    ids=["a page", "a proxy's error", "a redirect"],
)
def test_a_server_of_another_kind_is_told_as_such(scripted_user, scripted, photo, answer, sentence):
    scripted.answers.append(answer)
    done = scripted_user("ask", scripted_user.write("p.jpg", photo()), "What is it?")
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
