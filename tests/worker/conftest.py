"""An analyzer in this process, asking a scripted endpoint, on a database where nobody else works."""

import dataclasses

import pytest
from sqlalchemy import update

from core.addresses import AddressRules
from core.models import Analysis, Call
from core.services import analyses
from core.services.analyses import Submission
from core.store import calls
from webapp.uploads import Spool
from worker.analyze import Analyzer
from worker.fetcher import Fetcher
from worker.leases import Leases
from worker.outbound import Outbound
from worker.preparer import Preparer
from worker.throttle import Throttle
from worker.vision import Vision


@pytest.fixture(scope="session")
def preparer():
    with Preparer() as opened:
        yield opened


@pytest.fixture
def scripted(settings, script):
    """Settings that name the scripted endpoint."""
    return dataclasses.replace(settings, openai_base_url=script.base_url, call_timeout=2.0)


@pytest.fixture
def vision(scripted):
    opened = Vision(scripted)
    yield opened
    opened.close()


@pytest.fixture
def throttle(scripted):
    opened = Throttle(scripted)
    yield opened
    opened.close()


@pytest.fixture
def fetcher(desk):
    opened = Fetcher(desk, Outbound(AddressRules.of(desk.settings)))
    yield opened
    opened.close()


class Desk:
    """What the tests of the worker do with one account."""

    def __init__(self, desk, key, analyzer, photo):
        self.desk, self.key, self.analyzer, self.photo = desk, key.key, analyzer, photo

    def submit(self, content=None, **options):
        spool = Spool(10_000_000)
        spool.write(self.photo() if content is None else content)
        options = {"question": "What is it?", "model": "gpt-4.1-mini", **options}
        submission = Submission(images=[spool.upload("photo.jpg")], **options)
        return analyses.submit(self.desk, self.key, submission, "req-1").id

    def run(self, analysis_id):
        self.analyzer.analyze(analysis_id)
        return self.look(analysis_id)

    def look(self, analysis_id):
        return analyses.get(self.desk, self.key.account_id, analysis_id)

    def calls(self, analysis_id):
        with self.desk.database.transaction() as session:
            return calls.of_analysis(session, analysis_id)

    def change(self, analysis_id, **values):
        """Turn the clock for one row: the database's own times are the only ones that count."""
        with self.desk.database.transaction() as session:
            session.execute(update(Analysis).where(Analysis.id == analysis_id).values(**values))

    def ask(self, **options):
        return self.run(self.submit(**options))


@pytest.fixture
def analyzer(desk, fetcher, preparer, vision, throttle):
    leases = Leases(desk)
    yield Analyzer(desk, fetcher, preparer, vision, throttle, leases, "test-worker")
    leases.close()


@pytest.fixture
def shop(desk, key, analyzer, photo):
    return Desk(desk, key, analyzer, photo)


@pytest.fixture
def books(desk):
    """Every call of an account, as (state, reserved, prompt and completion cost)."""

    def read(account_id):
        with desk.database.transaction() as session:
            return list(session.query(Call).filter_by(account_id=account_id).order_by(Call.id))

    return read
