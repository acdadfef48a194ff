"""A worker that stops finishes what it has asked, and leaves the rest to others at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from endpoint import completion
from sqlalchemy import func

from core.services import outcomes
from worker.isolation import Isolation

PAST = func.now() - timedelta(seconds=1)


def test_what_has_not_been_claimed_is_left_and_rung_for_again(shop, analyzer, desk):
    analyzer.stop_claiming()
    row = shop.ask()
    assert (row.state, row.fence, row.rung_at) == ("queued", 0, None)
    assert row.id in outcomes.sweep(desk, bells_waiting=3)


def test_what_is_claimed_but_not_asked_goes_back_as_if_it_had_not_been_taken(
    shop, analyzer, preparer, monkeypatch
):
    prepare = preparer.prepare

    def stop_meanwhile(*args):
        analyzer.stop_claiming()
        return prepare(*args)

    monkeypatch.setattr(preparer, "prepare", stop_meanwhile)
    row = shop.ask()
    assert (row.state, row.attempts, row.lease_expiries) == ("queued", 0, 0)
    assert (row.lease_until, row.rung_at, row.reason) == (None, None, "its worker stopped")
    assert shop.calls(row.id) == []


def test_what_is_asked_is_finished(shop, analyzer, script):
    script.delay = 0.5
    script.say(completion("hi"))
    analysis_id = shop.submit()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(shop.run, analysis_id)
        while not script.calls:
            assert not asked.done()
        analyzer.stop_claiming()
        assert asked.result().state == "completed"
    assert [call.state for call in shop.calls(analysis_id)] == ["settled"]


def test_an_answer_that_is_being_repaired_is_half_paid_and_so_finished(shop, analyzer, script):
    script.delay = 0.5
    script.say(completion("no json at all"))
    script.say(completion("none either"))
    analysis_id = shop.submit(question=None, preset="product")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(shop.run, analysis_id)
        while not script.calls:
            assert not asked.done()
        analyzer.stop_claiming()
        assert asked.result().state == "failed"
    assert len(script.calls) == 2


class Watched:
    """A vision that notes how many others were being asked while it was asked the question `about`."""

    def __init__(self, vision, about):
        self._ask, self._about = vision.ask, about
        self.present, self.beside = set(), []

    def ask(self, ask):
        me = threading.get_ident()
        self.present.add(me)
        try:
            return self._ask(ask)
        finally:
            if self._about in str(ask.parameters["messages"]):
                self.beside.append(len(self.present) - 1)
            self.present.discard(me)


def test_the_last_try_after_two_dead_workers_is_made_alone(shop, vision, script, monkeypatch):
    script.delay = 0.3
    suspect, neighbours = shop.submit(question="Suspect?"), [shop.submit() for _ in range(3)]
    shop.change(suspect, lease_expiries=outcomes.LEASE_EXPIRIES - 1)
    for _ in range(4):
        script.say(completion("hi"))
    watched = Watched(vision, "Suspect?")
    monkeypatch.setattr(vision, "ask", watched.ask)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(shop.run, [*neighbours[:2], suspect, neighbours[2]]))
    assert {shop.look(each).state for each in (suspect, *neighbours)} == {"completed"}
    assert watched.beside == [0]


def test_who_wants_to_be_alone_waits_for_those_before_and_goes_before_those_after():
    isolation, order = Isolation(), []
    entered, leave = threading.Event(), threading.Event()

    def first():
        with isolation.together():
            entered.set()
            leave.wait(10)
            order.append("first")

    def alone():
        with isolation.alone():
            order.append("alone")

    def late():
        with isolation.together():
            order.append("late")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    entered.wait(10)
    threads.append(threading.Thread(target=alone))
    threads[1].start()
    while not isolation._wanting:
        pass
    threads.append(threading.Thread(target=late))
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "alone", "late"]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_late_but_paid_answer_of_what_is_not_final_is_accepted(shop, desk, script, state):
    """Its lease ran out while it was asked: swept, and perhaps with another worker by now."""
    script.delay = 1.0
    script.say(completion("late"))
    analysis_id = shop.submit()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(shop.run, analysis_id)
        while not script.calls:
            assert not asked.done()
        shop.change(analysis_id, lease_until=PAST)
        outcomes.sweep(desk, bells_waiting=None)
        assert shop.look(analysis_id).state == "queued"
        if state == "running":
            assert outcomes.claim(desk, analysis_id, "other") is not None
        row = asked.result()
    assert (row.state, row.answer, row.lease_expiries) == ("completed", "late", 1)
    assert [call.state for call in shop.calls(analysis_id)] == ["settled"]
