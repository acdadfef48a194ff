"""Webhooks through real processes: web, a worker for analyses, and workers that deliver and are killed."""

import io
import json
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles

import pytest
from endpoint import BIN, Analyst
from livesystem import SHORTEST_LEASE, system_of
from PIL import Image
from receiver import Receiver, answer, close_early, redirect_to, too_much
from standardwebhooks import Webhook
from waiting import PATIENCE

API = "/api/v1"
TIMEOUT = 2


def photo(seed):
    buffer = io.BytesIO()
    noise = random.Random(seed).randbytes(16 * 12 * 3)
    Image.frombytes("RGB", (16, 12), noise).resize((160, 120)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def hooked(servers, folder, settings):
    """A system of its own that may send to this machine, and tries again within seconds."""
    own = {
        "WEB_PROCESSES": "1",
        "OUTBOUND_NETWORKS": "127.0.0.0/8",
        "OUTBOUND_PORTS": "1-65535",
        "WEBHOOK_TIMEOUT": str(TIMEOUT),
        "WEBHOOK_SCHEDULE": ",".join(["1s"] * 50),
        "WORKER_LEASE": SHORTEST_LEASE,
        "LOG_LEVEL": "INFO",
    }
    with system_of(servers, settings, folder, "hooked", 2, Analyst(), **own) as system:
        system.start_web("hooked-web")
        system.start_worker("hooked-analyses", "-Q", "interactive,bulk")
        start_postman(system)
        system.wait_for(lambda: system.sees_workers(1))
        yield system


def start_postman(system):
    """A worker that delivers, and does nothing else."""
    system.start_worker("postman", "-Q", "webhooks")


@pytest.fixture
def make_receiver():
    made = []

    def make(behave=204):
        made.append(Receiver())
        made[-1].behave = behave
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


def hook(system, session, receiver, **body):
    made = session.post(f"{system.url}{API}/webhooks", json={"url": receiver.url, **body}, timeout=10)
    assert made.status_code == 201, made.text
    return made.json()


def ping(system, session, made):
    sent = session.post(f"{system.url}{API}/webhooks/{made['id']}/test", timeout=10)
    assert sent.status_code == 202, sent.text
    return sent.json()["id"]


def submit(system, session, seed, **fields):
    fields = {"question": "What colour is it?", **fields}
    files = {"file": ("p.jpg", photo(seed))}
    made = session.post(f"{system.url}{API}/analyses", files=files, data=fields, timeout=30)
    assert made.status_code == 202, made.text
    return made.json()["id"]


def test_an_analysis_and_a_batch_are_told_signed_from_post_to_receiver(hooked, make_receiver):
    session, receiver, own = hooked.session(), make_receiver(), make_receiver()
    made = hook(hooked, session, receiver)
    analysis_id = submit(hooked, session, 1, webhook_url=own.url, webhook_secret="our-plain-secret")
    files = {"file": ("p.jpg", photo(2))}
    upload = session.post(f"{hooked.url}{API}/files", files=files, timeout=10).json()["id"]
    inputs = [{"custom_id": str(n), "image": upload, "question": f"Is it {n}?"} for n in range(8)]
    batch = session.post(f"{hooked.url}{API}/batches", json={"inputs": inputs}, timeout=10).json()

    def told():
        found = {json.loads(message.body)["type"]: message for message in receiver.messages}
        return found if {"analysis.completed", "batch.completed"} <= set(found) and own.messages else None

    messages = hooked.wait_for(told)
    for message in receiver.messages:
        Webhook(made["secret"]).verify(message.body, message.headers)
    completed = json.loads(messages["batch.completed"].body)["data"]
    assert (completed["id"], completed["counts"]["completed"]) == (batch["id"], 8)
    [single] = own.messages
    body = Webhook(b"our-plain-secret").verify(single.body, single.headers)
    assert (body["data"]["id"], bool(body["data"]["result"]["answer"])) == (analysis_id, True)


def hang(receiver):
    receiver.behave = receiver.hang


BAD = {
    "302": lambda receiver: setattr(receiver, "behave", redirect_to("http://127.0.0.1:9/")),
    "500": lambda receiver: setattr(receiver, "behave", 500),
    "closes": lambda receiver: setattr(receiver, "behave", close_early),
    "hangs": hang,
    "is down": lambda receiver: receiver.stop(),
    "sends 10 MB": lambda receiver: setattr(receiver, "behave", too_much),
}


def test_every_kind_of_receiver_gets_each_event_and_delays_nobody_else(hooked, make_receiver, capsys):
    """Each has an account of its own, fails first and comes back; the well one's p95 is printed."""
    sessions = {name: hooked.session() for name in [*BAD, "well"]}
    receivers = {name: make_receiver() for name in sessions}
    made = {name: hook(hooked, sessions[name], receivers[name]) for name in sessions}
    for name, misbehave in BAD.items():
        misbehave(receivers[name])
    sent = {name: {ping(hooked, sessions[name], made[name]) for _ in range(6)} for name in BAD}
    began = {}
    for _ in range(40):
        began[ping(hooked, sessions["well"], made["well"])] = time.monotonic()
        time.sleep(0.05)
    well = receivers["well"]
    hooked.wait_for(lambda: began.keys() <= set(well.ids))
    delays = [message.at - began[message.id] for message in well.messages]
    for receiver in receivers.values():
        receiver.behave = 204
        receiver.closed.set()  # who hangs lets go
    receivers["is down"].start()
    hooked.wait_for(lambda: all(sent[name] <= set(receivers[name].ids) for name in BAD))

    def delivered(name):
        place = f"{hooked.url}{API}/webhooks/{made[name]['id']}/deliveries?status=delivered&limit=100"
        return {row["id"] for row in sessions[name].get(place, timeout=10).json()["data"]}

    hooked.wait_for(lambda: all(sent[name] == delivered(name) for name in BAD), every=0.5)
    with capsys.disabled():
        print(f"\nbeside six bad receivers: p95 {quantiles(delays, n=20)[-1] * 1000:.0f} ms")  # noqa: T201


def test_a_receiver_that_is_gone_is_sent_nothing_more(hooked, make_receiver):
    session, receiver = hooked.session(), make_receiver(410)
    made = hook(hooked, session, receiver)
    ping(hooked, session, made)
    place = f"{hooked.url}{API}/webhooks/{made['id']}"
    hooked.wait_for(lambda: not session.get(place, timeout=10).json()["enabled"])
    assert session.post(f"{place}/test", timeout=10).status_code == 409
    assert len(receiver.messages) == 1


def test_no_event_is_lost_when_the_delivering_worker_is_killed(hooked, make_receiver):
    session, receiver = hooked.session(), make_receiver()
    made = hook(hooked, session, receiver)
    receiver.behave = lambda handler: (time.sleep(0.3), answer(handler, 204))
    with ThreadPoolExecutor(8) as pool:
        sent = set(pool.map(lambda _: ping(hooked, session, made), range(60)))
    for round_number in (1, 2, 3):
        hooked.wait_for(lambda least=5 * round_number: len(receiver.messages) >= least)
        hooked.kill("postman")
        start_postman(hooked)
    hooked.wait_for(lambda: sent <= set(receiver.ids))
    assert set(receiver.ids) == sent


def test_a_worker_that_is_stopped_finishes_what_it_sends_and_sends_nothing_twice(hooked, make_receiver):
    session, receiver = hooked.session(), make_receiver()
    made = hook(hooked, session, receiver)
    receiver.behave = lambda handler: (time.sleep(1), answer(handler, 204))
    sent = {ping(hooked, session, made) for _ in range(8)}
    hooked.wait_for(lambda: receiver.messages)
    process = hooked.processes.pop("postman")
    process.terminate()
    assert process.wait(PATIENCE) == 0
    start_postman(hooked)
    hooked.wait_for(lambda: sent <= set(receiver.ids))
    assert len(receiver.messages) == len(sent)


def test_no_secret_and_no_address_is_in_any_log(hooked, make_receiver, folder):
    session, receiver = hooked.session(), make_receiver()
    made = hook(hooked, session, receiver)
    ping(hooked, session, made)
    hooked.wait_for(lambda: receiver.messages)
    logs = "".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
    assert "delivery_attempted" in logs
    assert made["secret"] not in logs
    assert receiver.url not in logs


def test_events_are_followed_by_the_command_line_and_posted_on_signed(hooked, make_receiver):
    session, receiver = hooked.session(), make_receiver()
    key = session.headers["Authorization"].removeprefix("Bearer ")
    environment = {"VITRINE_URL": hooked.url, "VITRINE_API_KEY": key, "PYTHONUNBUFFERED": "1"}
    command = [BIN / "vitrine", "webhooks", "listen", "--forward", receiver.url, "--secret", "dev-secret"]
    hooked.start("listen", command, **environment)
    stop = threading.Event()

    def pings():
        made = hook(hooked, session, make_receiver(), events=["budget.exceeded"])
        while not stop.is_set():
            submit(hooked, session, random.randrange(10**9))
            stop.wait(1.0)
        return made

    with ThreadPoolExecutor(1) as pool:
        pool.submit(pings)
        try:
            hooked.wait_for(lambda: receiver.messages)
        finally:
            stop.set()
    message = receiver.messages[0]
    assert Webhook(b"dev-secret").verify(message.body, message.headers)["type"] == "analysis.completed"
    process = hooked.processes.pop("listen")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
