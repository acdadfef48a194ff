"""What the worker asks of servers that users name, and what it does not."""

import ssl
import time
from ipaddress import ip_address, ip_network
from socket import EAI_AGAIN, EAI_NONAME, gaierror

import pytest
import trustme
from forbidden import ADDRESSES, PUBLIC, spellings
from rawhost import RawHost, answering

from core.addresses import AddressRules
from core.errors import AddressNotAllowed
from worker.outbound import Outbound
from worker.outbound_errors import OutboundError, Why

ANY_PORT = (range(1, 65_536),)
STRICT = AddressRules(ports=ANY_PORT)
"""No networks but the public ones; ports do not hide what is tested."""
HERE = AddressRules(networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")), ports=ANY_PORT)
LONG = 60
"""Seconds that no test waits for."""


@pytest.fixture
def canary():
    with RawHost(answering(200, b"a bird")) as host:
        yield host


def leading_to(*addresses):
    """A look-up that finds these, and counts how often it is asked."""

    def look_up(host, port):
        look_up.asked += 1
        return [ip_address(address) for address in addresses]

    look_up.asked = 0
    return look_up


def get(outbound, url, **options):
    with outbound.exchange("GET", url, **{"seconds": LONG, **options}) as answer:
        return answer.status, b"".join(answer.pieces())


def refused(outbound, url, **options):
    with pytest.raises(OutboundError) as caught:
        get(outbound, url, **options)
    return caught.value


def test_no_spelling_of_a_forbidden_address_connects_or_passes_at_submission(canary):
    outbound = Outbound(STRICT)
    for url in spellings(canary.port):
        with pytest.raises(AddressNotAllowed):
            STRICT.check(url)
        assert refused(outbound, url).why is Why.NOT_ALLOWED, url
    assert canary.connections == 0


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_name_that_leads_to_a_forbidden_address_is_refused(canary, address):
    url = f"http://images.example:{canary.port}/"
    assert refused(Outbound(STRICT, leading_to(address)), url).why is Why.NOT_ALLOWED
    assert canary.connections == 0


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address):
    assert STRICT.allows(ip_address(address))
    STRICT.check(f"https://{f'[{address}]' if ':' in address else address}/a.jpg")


@pytest.mark.parametrize(
    "addresses", [("8.8.8.8", "127.0.0.1"), ("127.0.0.1", "8.8.8.8"), ("8.8.8.8", "::1")]
)
def test_every_address_of_a_name_must_be_allowed(canary, addresses):
    url = f"http://images.example:{canary.port}/"
    assert refused(Outbound(STRICT, leading_to(*addresses)), url).why is Why.NOT_ALLOWED
    assert canary.connections == 0


def test_a_name_that_changes_between_checks_is_looked_up_once_and_that_is_where_it_goes(canary):
    answers = [[ip_address("127.0.0.1")], [ip_address("10.0.0.1")]]
    outbound = Outbound(HERE, lambda *_: answers.pop(0))
    assert get(outbound, f"http://images.example:{canary.port}/") == (200, b"a bird")
    assert len(answers) == 1


def test_the_host_hears_its_name_and_not_its_address(canary):
    outbound = Outbound(HERE, leading_to("127.0.0.1"))
    get(outbound, f"http://images.example:{canary.port}/a.jpg?size=l%20x")
    assert canary.heads[0].startswith("GET /a.jpg?size=l%20x HTTP/1.1\r\n")
    assert f"\r\nHost: images.example:{canary.port}\r\n" in canary.heads[0]


@pytest.mark.parametrize("port", [1, 22, 81, 5432, 6379, 8080, 65_535])
def test_only_the_ports_of_the_web_are_asked_unless_more_are_allowed(port):
    with pytest.raises(AddressNotAllowed, match=f"Port {port}"):
        AddressRules().check(f"http://images.example:{port}/")
    AddressRules(ports=(range(port, port + 1),)).check(f"http://images.example:{port}/")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "eighty", "8_0"])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(AddressNotAllowed):
        STRICT.check(f"http://images.example:{port}/")


def test_an_allowed_network_is_reached_by_number_and_by_name_on_both_protocols(canary):
    assert get(Outbound(HERE), f"http://127.0.0.1:{canary.port}/")[0] == 200
    assert get(Outbound(HERE), f"http://[::1]:{canary.port}/")[0] == 200
    assert get(Outbound(HERE), f"http://localhost:{canary.port}/")[0] == 200
    assert get(Outbound(HERE, leading_to("127.0.0.1")), f"http://intranet:{canary.port}/")[0] == 200


def test_the_proxies_of_the_environment_do_not_count(canary, monkeypatch):
    with RawHost(answering(200, b"a proxy")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert get(Outbound(HERE), canary.url()) == (200, b"a bird")
        assert refused(Outbound(STRICT), canary.url()).why is Why.NOT_ALLOWED
        assert proxy.connections == 0


def test_a_redirect_is_an_answer_and_its_body_is_not_read():
    with RawHost() as canary:

        def endless(connection, _):
            head = f"HTTP/1.1 302 Found\r\nLocation: {canary.url()}\r\nContent-Encoding: gzip\r\n\r\n"
            connection.sendall(head.encode())
            while True:
                connection.sendall(b"x" * 65_536)

        with RawHost(endless) as host, Outbound(HERE).exchange("GET", host.url(), seconds=LONG) as answer:
            assert (answer.status, answer.headers["location"]) == (302, canary.url())
        assert canary.connections == 0


def drip(head):
    """Says this, then a byte at a time for ever, so that no single read takes long."""

    def speak(connection, _):
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)

    return speak


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
    ],
    ids=["status", "header", "body", "body of a known length", "chunk"],
)
def test_a_host_that_says_a_byte_at_a_time_meets_the_deadline(head):
    with RawHost(drip(head)) as host:
        assert refused(Outbound(HERE), host.url(), seconds=0.5).why is Why.TIMED_OUT


def test_a_host_that_says_nothing_meets_the_deadline():
    with RawHost(lambda *_: time.sleep(LONG)) as host:
        assert refused(Outbound(HERE), host.url(), seconds=0.3).why is Why.TIMED_OUT


def test_a_resolver_that_says_nothing_meets_the_deadline():
    failure = refused(Outbound(STRICT, lambda *_: time.sleep(LONG)), "http://a.example/", seconds=0.3)
    assert (failure.why, failure.again) == (Why.NAME_UNANSWERED, True)


@pytest.mark.parametrize(
    ("trouble", "why", "again"),
    [
        (gaierror(EAI_NONAME, "unknown"), Why.NAME_NOT_FOUND, False),
        (gaierror(EAI_AGAIN, "try again"), Why.NAME_UNANSWERED, True),
        (UnicodeError("label too long"), Why.NAME_NOT_FOUND, False),
    ],
)
def test_a_name_that_is_not_found_is_told_from_a_resolver_in_trouble(trouble, why, again):
    def look_up(host, port):
        raise trouble

    failure = refused(Outbound(STRICT, look_up), "http://images.example/")
    assert (failure.why, failure.again) == (why, again)


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".example", "a..example", "*.example", "\u00ad.example", ".example"]
)
def test_what_is_no_name_fails_in_words(host):
    def look_up(name, port):
        name.encode("idna")  # as the system's does
        raise gaierror(EAI_NONAME, "unknown")

    failure = refused(Outbound(STRICT, look_up), f"http://{host}/")
    assert (failure.why in {Why.NAME_NOT_FOUND, Why.NOT_ALLOWED}, failure.again) == (True, False)


def test_a_name_without_an_address_is_not_found():
    assert refused(Outbound(STRICT, leading_to()), "http://images.example/").why is Why.NAME_NOT_FOUND


def test_a_closed_port_cannot_be_reached():
    with RawHost() as host:
        url = host.url()
    failure = refused(Outbound(HERE), url)
    assert (failure.why, failure.again) == (Why.UNREACHABLE, True)


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"\x15\x03\x01"],
)
def test_an_answer_that_breaks_off_or_is_no_http_is_an_error(said):
    with RawHost(lambda connection, _: connection.sendall(said)) as host:
        assert refused(Outbound(HERE), host.url()).why is Why.BROKEN_OFF


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    """What a host needs to speak TLS as images.example."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("images.example").configure_cert(context)
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(tls):
    with RawHost(answering(200), tls=tls) as host:
        outbound = Outbound(HERE, leading_to("127.0.0.1"))
        failure = refused(outbound, f"https://images.example:{host.port}/")
        assert (failure.why, failure.again, host.heads) == (Why.INSECURE, False, [])


def test_the_certificate_and_sni_are_those_of_the_name(authority, tls):
    asked = []
    tls.sni_callback = lambda _, name, __: asked.append(name)
    with RawHost(answering(200, b"a bird"), tls=tls) as host:
        outbound = Outbound(HERE, leading_to("127.0.0.1"))
        outbound._trust = ssl.create_default_context()  # all others share theirs
        authority.configure_trust(outbound._trust)
        assert get(outbound, f"https://images.example:{host.port}/") == (200, b"a bird")
        assert refused(outbound, f"https://other.example:{host.port}/").why is Why.INSECURE
        assert asked == ["images.example", "other.example"]


def test_a_post_sends_its_body_and_keeps_how_the_reply_begins():
    with RawHost(answering(202, b"y" * 100_000, X_Said="yes")) as host:
        reply = Outbound(HERE).post(host.url("/hook"), b"{}", {"webhook-id": "m1"}, seconds=LONG, most=1_000)
        assert (reply.status, reply.body, reply.is_whole) == (202, b"y" * 1_000, False)
        assert reply.headers["x-said"] == "yes"
        assert "webhook-id: m1\r\n" in host.heads[0]
        assert host.heads[0].startswith("POST /hook HTTP/1.1\r\n")


def test_a_status_stands_whatever_becomes_of_the_body():
    with RawHost(drip(b"HTTP/1.1 200 OK\r\n\r\n")) as host:
        reply = Outbound(HERE).post(host.url(), b"{}", {}, seconds=0.5)
        assert (reply.status, reply.is_whole) == (200, False)
        assert set(reply.body) == {ord("x")}
