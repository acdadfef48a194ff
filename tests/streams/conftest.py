"""One shop, one worker in a thread, and an endpoint that types what it is told."""

import dataclasses
import io
import threading

import pytest
from sqlalchemy import func, update
from typist import Typist, events

from core.addresses import AddressRules
from core.models import Analysis
from core.services import analyses
from core.store import calls
from worker.analyze import Analyzer
from worker.fetcher import Fetcher
from worker.leases import Leases
from worker.outbound import Outbound
from worker.preparer import Preparer
from worker.throttle import Throttle
from worker.vision import Vision

PATH = "/api/v1/image/analyze-stream"


@pytest.fixture(scope="session")
def preparer():
    with Preparer() as opened:
        yield opened


@pytest.fixture
def typist():
    endpoint = Typist()
    yield endpoint
    endpoint.stop()


@pytest.fixture
def analyzer(desk, settings, typist, preparer):
    scripted = dataclasses.replace(settings, openai_base_url=typist.base_url, call_timeout=60.0)
    vision, throttle, leases = Vision(scripted), Throttle(scripted), Leases(desk)
    fetcher = Fetcher(desk, Outbound(AddressRules.of(settings)))
    yield Analyzer(desk, fetcher, preparer, vision, throttle, leases, "test-worker")
    for opened in (leases, vision, throttle, fetcher):
        opened.close()


class Shop:
    """Asks, and lets a worker answer."""

    def __init__(self, desk, key, client, analyzer, photo):
        self.desk, self.key, self.client, self.photo = desk, key.key, client, photo
        self._analyzer, self._threads, self._answers = analyzer, [], []

    def ask(self, path=PATH, last="", **fields):
        """Submit with a stream; the id of the analysis, and the events as they come."""
        fields = {"question": "What is it?", "file": (io.BytesIO(self.photo()), "photo.jpg"), **fields}
        headers = {"Last-Event-ID": last} if last else {}
        answer = self.client.post(path, data=fields, headers=headers, buffered=False)
        assert answer.status_code == 200, answer.text
        return answer.headers["Location"].rsplit("/", 1)[1], answer, self._told(answer)

    def follow(self, analysis_id, last="", **query):
        """The events behind one that was seen."""
        headers = {"Last-Event-ID": last} if last else {}
        path = f"/api/v1/analyses/{analysis_id}/stream"
        answer = self.client.get(path, headers=headers, query_string=query, buffered=False)
        assert answer.status_code == 200, answer.text
        return self._told(answer)

    def _told(self, answer):
        self._answers.append(answer)
        yield from events(answer.response)
        answer.close()

    def work(self, analysis_id):
        """Let the worker do what it can for this analysis, in a thread of its own."""
        thread = threading.Thread(target=self._analyzer.analyze, args=[analysis_id])
        thread.start()
        self._threads.append(thread)
        return thread

    def look(self, analysis_id):
        return analyses.get(self.desk, self.key.account_id, analysis_id)

    def calls(self, analysis_id):
        with self.desk.database.transaction() as session:
            return calls.of_analysis(session, analysis_id)

    def make_due(self, analysis_id, **values):
        with self.desk.database.transaction() as session:
            this = update(Analysis).where(Analysis.id == analysis_id)
            session.execute(this.values(next_attempt_at=func.now(), **values))

    def wait(self):
        for thread in self._threads:
            thread.join(60)
        for answer in self._answers:
            answer.close()


@pytest.fixture
def key(new_key):
    return new_key(unlimited=True)


@pytest.fixture
def shop(desk, key, client, analyzer, photo, typist):
    opened = Shop(desk, key, client, analyzer, photo)
    yield opened
    for _ in range(3):
        typist.end()
    opened.wait()
