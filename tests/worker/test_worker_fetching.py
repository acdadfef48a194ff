"""Images that are named by a URL: fetched before they are prepared, and what becomes of the analysis."""

import dataclasses
import hashlib
import itertools
import tempfile
import threading
import time
from ipaddress import ip_address, ip_network

import pytest
from endpoint import completion
from rawhost import RawHost, answering
from sqlalchemy import func, select

from core.addresses import AddressRules
from core.models import Fetch, File
from core.services import analyses, files
from core.services.analyses import Submission
from core.services.image_urls import ImageUrl
from worker.fetcher import Fetcher
from worker.outbound import Outbound
from worker.places import Full, Places
from worker.scripts import Scripts

ANY_PORT = (range(1, 65_536),)
STRICT = AddressRules(ports=ANY_PORT)
HERE = AddressRules(networks=(ip_network("127.0.0.0/8"),), ports=ANY_PORT)


@pytest.fixture
def changed():
    """Settings that a test wants otherwise."""
    return {}


@pytest.fixture(scope="module")
def this_machine():
    return Outbound(HERE)


@pytest.fixture
def outbound(this_machine):
    """What is asked; a test may want another."""
    return this_machine


@pytest.fixture
def fetcher(desk, outbound, changed):
    settings = dataclasses.replace(desk.settings, **changed)
    opened = Fetcher(dataclasses.replace(desk, settings=settings), outbound)
    yield opened
    opened.close()


@pytest.fixture
def submit(shop):
    def make(*urls, **options):
        images = [ImageUrl(url) for url in urls]
        submission = Submission(
            images=images, **{"question": "What is it?", "model": "gpt-4.1-mini", **options}
        )
        return analyses.submit(shop.desk, shop.key, submission, "req-1").id

    return make


@pytest.fixture
def ask(shop, script, submit):
    """Have an analysis of images at these URLs made, as far as one try goes."""

    def make(*urls):
        script.say(completion("A square."))
        return shop.run(submit(*urls))

    return make


def test_an_image_is_fetched_kept_and_shown_with_its_url(ask, script, photo, shop):
    content = photo("red")
    with RawHost(answering(200, content)) as host:
        row = ask(host.url("/shop/red%20mug.jpg?size=l"))
    assert (row.state, row.answer) == ("completed", "A square.")
    [image] = row.images
    assert image.url == host.url("/shop/red%20mug.jpg?size=l")
    assert (image.file.name, image.file.media_type, image.file.byte_size) == (
        "red mug.jpg",
        "image/jpeg",
        len(content),
    )
    assert image.file.digest == hashlib.sha256(content).hexdigest()
    assert shop.desk.blobs.get(image.file.digest) == content
    assert image.report["sent"]
    assert script.calls[0]["body"]["messages"][1]["content"][1]["type"] == "image_url"


def test_images_that_are_sent_and_images_that_are_fetched_keep_their_order(shop, script, photo):
    sent = photo("blue")
    first = shop.submit(content=sent)
    with RawHost(answering(200, photo("red"))) as host:
        images = [ImageUrl(host.url()), shop.look(first).images[0].file_id, ImageUrl(host.url("/2"))]
        script.say(completion("Two."))
        made = analyses.submit(shop.desk, shop.key, Submission(images=images, question="Which?"), "r")
        row = shop.run(made.id)
    assert row.state == "completed"
    red, blue = (hashlib.sha256(content).hexdigest() for content in (photo("red"), sent))
    assert [image.file.digest for image in row.images] == [red, blue, red]
    assert [bool(image.url) for image in row.images] == [True, False, True]


def test_the_same_bytes_are_one_file_of_the_account_and_go_with_the_last_analysis(ask, shop, photo):
    with RawHost(answering(200, photo("red"))) as host:
        first, second = ask(host.url("/a.jpg")), ask(host.url("/b.jpg"))
    [file_id] = {row.images[0].file_id for row in (first, second)}
    analyses.delete(shop.desk, shop.key.account_id, first.id)
    assert files.get(shop.desk, shop.key.account_id, file_id).id == file_id
    analyses.delete(shop.desk, shop.key.account_id, second.id)
    with shop.desk.database.transaction() as session:
        kept = select(func.count()).select_from(File).where(File.account_id == shop.key.account_id)
        assert session.scalar(kept) == 0
        remembered = select(func.count()).select_from(Fetch).where(Fetch.account_id == shop.key.account_id)
        assert session.scalar(remembered) == 0


def conditional(content, **validators):
    """A host that knows whether its image has changed."""

    def speak(connection, head):
        asked = {
            line.split(": ", 1)[1]
            for line in head.split("\r\n")
            if line.lower().startswith(("if-none", "if-mod"))
        }
        has_it = asked & set(validators.values())
        (answering(304) if has_it else answering(200, content, **validators))(connection, head)

    return speak


@pytest.mark.parametrize(
    "validators",
    [{"ETag": '"v1"'}, {"ETag": 'W/"v1"'}, {"Last_Modified": "Sat, 21 Nov 2026 09:00:00 GMT"}],
)
def test_what_has_not_changed_is_not_sent_again(ask, photo, validators):
    with RawHost(conditional(photo("red"), **validators)) as host:
        first, second = ask(host.url()), ask(host.url())
        assert [row.state for row in (first, second)] == ["completed", "completed"]
        assert first.images[0].file_id == second.images[0].file_id
        assert "If-" not in host.heads[0]
        assert next(iter(validators.values())) in host.heads[1]


def test_what_an_account_fetched_is_not_asked_about_for_another(ask, shop, new_key, photo):
    with RawHost(conditional(photo("red"), ETag='"v1"')) as host:
        ask(host.url())
        shop.key = new_key().key
        assert ask(host.url()).state == "completed"
        assert "If-" not in host.heads[1]


def test_an_image_that_changed_is_another_file(ask, photo):
    with RawHost() as host:
        host.speak = answering(200, photo("red"), ETag='"v1"')
        first = ask(host.url())
        host.speak = answering(200, photo("blue"), ETag='"v2"')
        second = ask(host.url())
        host.speak = conditional(photo("blue"), ETag='"v2"')
        third = ask(host.url())
    assert first.images[0].file_id != second.images[0].file_id == third.images[0].file_id


def test_a_host_that_says_unchanged_without_being_asked_gives_no_image(ask):
    with RawHost(answering(304)) as host:
        row = ask(host.url())
    assert (row.state, row.error_code) == ("failed", "image_unfetchable")


def test_three_redirects_are_followed_and_a_fourth_is_not(ask, photo):
    def speak(connection, head):
        left = int(head.split()[1].strip("/"))
        (answering(302, Location=str(left - 1)) if left else answering(200, photo("red")))(connection, head)

    with RawHost(speak) as host:
        assert ask(host.url("/3")).state == "completed"
        row = ask(host.url("/4"))
    assert (row.state, row.error_code) == ("failed", "image_unfetchable")
    assert row.error_message == "The image at 127.0.0.1 could not be fetched: the host redirects too often."


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b"", "answered with status 404"),
        (403, b"", "answered with status 403"),
        (204, b"", "answered with status 204"),
        (206, b"\xff\xd8\xff", "answered with status 206"),
        (302, b"", "no address to go on to"),
        (200, b"", "it is an empty file"),
        (200, b"<!doctype html><p>Sign in", "it is an HTML page"),
        (200, b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is an SVG drawing"),
        (200, b"\xff\xd8\xff" + b"x" * 300_000, "has more than 200,000 bytes"),
    ],
)
@pytest.mark.parametrize("changed", [{"max_file_size": 200_000}])
def test_what_stands_fails_at_once_with_the_reason(ask, script, status, body, why):
    with RawHost(answering(status, body)) as host:
        row = ask(host.url())
        assert host.connections == 1
    assert (row.state, row.error_code, row.attempts) == ("failed", "image_unfetchable", 1)
    assert why in row.error_message
    assert script.calls == []


@pytest.mark.parametrize("changed", [{"max_file_size": 100_000}])
def test_an_image_without_a_length_is_cut_off_where_it_grows_too_large(ask):
    sent = []

    def endless(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n\xff\xd8\xff")
        while len(sent) < 10_000:
            connection.sendall(b"x" * 65_536)
            sent.append(1)

    with RawHost(endless) as host:
        row = ask(host.url())
    assert (row.state, row.error_code) == ("failed", "image_unfetchable")
    assert "100,000 bytes" in row.error_message
    assert len(sent) < 10_000


@pytest.mark.parametrize(
    ("status", "headers"), [(500, {}), (502, {}), (503, {}), (408, {}), (429, {"Retry_After": "30"})]
)
def test_what_passes_is_tried_again_and_not_for_ever(ask, shop, script, photo, status, headers):
    with RawHost(answering(status, **headers)) as host:
        row = ask(host.url())
        assert (row.state, row.attempts) == ("queued", 1)
        assert f"status {status}" in row.reason
        if headers:
            assert (row.next_attempt_at - row.started_at).total_seconds() > 29
        for _ in range(3):
            shop.change(row.id, next_attempt_at=func.now())
            row = shop.run(row.id)
        assert (row.state, row.attempts, row.error_code) == ("failed", 4, "image_unfetchable")
        assert host.connections == 4


def test_an_image_that_comes_late_is_fetched_by_the_next_try(ask, shop, photo):
    with RawHost(answering(503)) as host:
        row = ask(host.url())
        host.speak = answering(200, photo("red"))
        shop.change(row.id, next_attempt_at=func.now())
        assert shop.run(row.id).state == "completed"


def test_an_image_is_fetched_once_however_often_the_endpoint_is_asked(shop, script, submit, photo):
    script.say({"error": {"message": "busy"}}, 500)
    script.say(completion("A square."))
    with RawHost(answering(200, photo("red"))) as host:
        row = shop.run(submit(host.url()))
        assert row.state == "queued"
        shop.change(row.id, next_attempt_at=func.now())
        assert shop.run(row.id).state == "completed"
        assert host.connections == 1


@pytest.mark.parametrize("changed", [{"url_timeout": 0.5}])
def test_a_host_that_hangs_is_left_after_the_time_for_an_image_and_asked_again_later(ask):
    with RawHost(lambda *_: time.sleep(60)) as host:
        row = ask(host.url())
    assert (row.state, row.attempts) == ("queued", 1)
    assert row.reason == "The image at 127.0.0.1 could not be fetched: the host did not answer in time."


@pytest.mark.parametrize(
    "leads_to", ["http://10.0.0.1/", "http://[::1]:{port}/", "file:///etc/passwd", "http://[x"]
)
def test_a_redirect_to_what_is_not_allowed_fails_without_a_connection(ask, leads_to):
    with RawHost(answering(200)) as canary:
        location = leads_to.replace("{port}", str(canary.port))
        with RawHost(answering(302, Location=location)) as host:
            row = ask(host.url())
        assert canary.connections == 0
    assert (row.state, row.error_code) == ("failed", "image_unfetchable")


def test_an_image_that_finds_no_room_on_the_disk_waits(ask, photo, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/does/not/exist")
    with RawHost(answering(200, photo("red") + b"x" * 300_000)) as host:
        row = ask(host.url())
    assert (row.state, row.reason) == ("queued", "There is no room for this image just now.")


def test_a_redirect_may_be_written_in_utf_8(ask, photo):
    def speak(connection, head):
        if " /%C3%BC.jpg " in head:
            return answering(200, photo("red"))(connection, head)
        return connection.sendall("HTTP/1.1 302 Found\r\nLocation: /\u00fc.jpg\r\n\r\n".encode())

    with RawHost(speak) as host:
        assert ask(host.url("/start")).state == "completed"


class Names:
    """A resolver whose names lead to other places with every look, in turn."""

    def __init__(self, *answers):
        self._answers = itertools.cycle(answers)

    def __call__(self, *_):
        return [ip_address(address) for address in next(self._answers)]


@pytest.mark.parametrize(
    "outbound",
    [
        Outbound(STRICT, Names(["127.0.0.1"])),
        Outbound(STRICT, Names(["8.8.8.8", "127.0.0.1"])),
        Outbound(STRICT, Names(["8.8.8.8", "::1"])),
        Outbound(STRICT, Names(["127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["::ffff:127.0.0.1"])),
    ],
    ids=["this machine", "two addresses", "two protocols", "another with every look"],
)
def test_a_name_that_leads_here_fails_without_a_connection(ask):
    with RawHost(answering(200)) as canary:
        for _ in range(3):
            row = ask(f"http://images.example:{canary.port}/a.jpg")
            assert (row.state, row.error_code) == ("failed", "image_unfetchable")
            assert row.error_message.endswith("the host's address is not a public one.")
        assert canary.connections == 0


@pytest.mark.parametrize("changed", [{"url_images": False}])
def test_nothing_is_fetched_once_that_is_switched_off(ask):
    with RawHost(answering(200)) as host:
        row = ask(host.url())
        assert host.connections == 0
    assert (row.state, row.error_code) == ("failed", "image_unfetchable")


def test_what_the_log_and_the_error_say_holds_no_part_of_the_url_but_its_host(ask, capfd):
    with RawHost(answering(404)) as host:
        row = ask(host.url("/private/photo.jpg?token=url-secret"))
    assert "url-secret" not in row.error_message
    captured = capfd.readouterr()
    assert "url-secret" not in captured.out + captured.err


def test_an_analysis_that_was_deleted_meanwhile_leaves_no_file(shop, submit, photo):
    def speak(connection, head):
        analyses.cancel(shop.desk, shop.key.account_id, analysis_id)
        analyses.delete(shop.desk, shop.key.account_id, analysis_id)
        answering(200, photo("red"))(connection, head)

    with RawHost(speak) as host:
        analysis_id = submit(host.url())
        shop.analyzer.analyze(analysis_id)
        assert host.connections == 1
    with shop.desk.database.transaction() as session:
        kept = select(func.count()).select_from(File).where(File.account_id == shop.key.account_id)
        assert session.scalar(kept) == 0


@pytest.fixture
def places(settings):
    scripts = Scripts(settings.redis_url)
    yield lambda most=2, seconds=60.0, most_here=9: Places(scripts, most, most_here, seconds)
    scripts.close()


def test_a_host_gets_so_many_requests_at_a_time_from_all_workers_together(places):
    one, other = places(), places()
    with one.at("host-a"), other.at("host-a"):
        with pytest.raises(Full), other.at("host-a"):
            pass
        with one.at("host-b"):
            pass
    with one.at("host-a"), one.at("host-a"):
        pass


def test_all_hosts_together_get_so_many_requests_from_one_worker(places):
    one, other = places(most_here=2), places(most_here=2)
    with one.at("host-g"), one.at("host-h"):
        with pytest.raises(Full), one.at("host-i"):
            pass
        with other.at("host-i"):
            pass
    with one.at("host-i"):
        pass


def test_a_place_of_a_worker_that_died_becomes_free(places):
    never_left = places(1, 0.2).at("host-c")
    never_left.__enter__()
    with places(1).at("host-c"):
        pass
    never_left.__exit__(None, None, None)


def test_whoever_waits_for_a_place_gets_it_when_it_is_left(places):
    held, done = places(1), threading.Event()

    def hold():
        with held.at("host-d"):
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    threading.Timer(0.3, done.set).start()
    with places(1).at("host-d"):
        pass
    holder.join()


def test_without_redis_each_worker_counts_for_itself():
    scripts = Scripts("redis://127.0.0.1:9/0")
    alone = Places(scripts, 1, 9, 60)
    with alone.at("host-e"):
        with pytest.raises(Full), alone.at("host-e"):
            pass
        with alone.at("host-f"), Places(scripts, 1, 9, 60).at("host-e"):
            pass
    with alone.at("host-e"):
        pass
    assert not alone._alone
    scripts.close()


@pytest.mark.parametrize("changed", [{"url_host_connections": 1}])
def test_an_image_whose_host_is_busy_waits_without_using_up_a_try(ask, settings, photo):
    scripts = Scripts(settings.redis_url)
    with RawHost(answering(200, photo("red"))) as host, Places(scripts, 1, 9, 60).at("127.0.0.1"):
        row = ask(host.url())
        assert (row.state, row.attempts, host.connections) == ("queued", 0, 0)
    scripts.close()
