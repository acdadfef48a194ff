"""Work for a system while things break: batches of many items, and single analyses posted all the while."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import requests

from bench._system import System, until
from bench.batches import API, post, scalar, small_photos, upload
from core.ids import new_id

POST_SECONDS = 30.0
PAUSE = 0.1
DONE = "SELECT count(*) FROM analyses WHERE account_id = %s AND finished_at IS NOT NULL"
OPEN = """
    SELECT (SELECT count(*) FROM analyses WHERE account_id = %(account)s AND finished_at IS NULL)
        + (SELECT count(*) FROM calls WHERE account_id = %(account)s AND state = 'reserved')
"""


@dataclass(slots=True)
class Shop:
    """An account at a system, with photos uploaded; the endpoint's ledger begins with it."""

    vitrine: System
    session: requests.Session
    account_id: str
    photo: bytes
    file_ids: list[str]

    def submit(self, questions: Sequence[str]) -> None:
        """A batch with one item for each question."""
        photos = len(self.file_ids)
        inputs = [
            {"custom_id": f"sku-{number:06}", "image": self.file_ids[number % photos], "question": question}
            for number, question in enumerate(questions)
        ]
        post(self.vitrine, self.session, json.dumps({"inputs": inputs}).encode())

    def done(self) -> int:
        """How many analyses are final."""
        with self.vitrine.database() as connection:
            return int(scalar(connection, DONE, self.account_id))

    def done_or_none(self) -> int | None:
        """How many are final; None while Postgres does not say."""
        try:
            return self.done()
        except psycopg.Error:
            return None

    def until_done(self, number: int, seconds: float) -> None:
        """Wait until so many are final."""
        until(lambda: self.done() >= number, f"{number} analyses are not final", seconds, 0.1)

    def until_all_done(self, seconds: float) -> None:
        """Wait until none is open, and no call of any in the books."""

        def settled() -> bool:
            with self.vitrine.database() as connection:
                return connection.execute(OPEN.encode(), {"account": self.account_id}).fetchone() == (0,)

        until(settled, "analyses are not final", seconds, 0.2)


def open_shop(vitrine: System, **knobs: float) -> Shop:
    """A new account, and an endpoint that has forgotten all earlier calls and behaves as told."""
    name = new_id("shop")
    session = vitrine.session(name)
    photos = small_photos(8)
    file_ids = upload(vitrine, session, photos)
    with vitrine.database() as connection:
        account_id = str(scalar(connection, "SELECT id FROM accounts WHERE name = %s", name))
    vitrine.turn(
        **{"latency": 0.3, "error_rate": 0, "limited_rate": 0, "hang_rate": 0, "garbage_rate": 0, **knobs}
    )
    requests.delete(f"{vitrine.analyst}/control/ledger", timeout=10).raise_for_status()
    return Shop(vitrine, session, account_id, photos[0], file_ids)


def questions(count: int, what: str = "plain") -> list[str]:
    """Questions that nobody asked before."""
    return [f"Which colour is the {what} article {new_id('no')}?" for _ in range(count)]


@dataclass(slots=True)
class Posted:
    """What came of the submissions of a poster."""

    seconds: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    """Ids that came with a 2xx."""
    refused: list[int] = field(default_factory=list)
    """Statuses of the others; 0 where the connection broke."""

    def p99(self) -> float:
        """Seconds that the slowest but one in a hundred took."""
        return sorted(self.seconds)[int(0.99 * (len(self.seconds) - 1))]


@contextmanager
def posting(shop: Shop) -> Iterator[Posted]:
    """Post an analysis after the other from a thread, for as long as the block runs."""
    posted, enough = Posted(), threading.Event()
    session = requests.Session()
    session.headers.update(shop.session.headers)

    def run() -> None:
        while not enough.wait(PAUSE):
            _post_one(shop, session, posted)

    thread = threading.Thread(target=run, name="posting", daemon=True)
    thread.start()
    try:
        yield posted
    finally:
        enough.set()
        thread.join(POST_SECONDS + 10)


def _post_one(shop: Shop, session: requests.Session, posted: Posted) -> None:
    form = {"question": questions(1, "posted")[0]}
    files = {"file": ("photo.jpg", shop.photo, "image/jpeg")}
    started = time.monotonic()
    try:
        url = f"{shop.vitrine.url}{API}/analyses"
        answer = session.post(url, data=form, files=files, timeout=POST_SECONDS)
    except requests.RequestException:
        posted.refused.append(0)
    else:
        if answer.ok:
            posted.accepted.append(str(answer.json()["id"]))
        else:
            posted.refused.append(answer.status_code)
    posted.seconds.append(time.monotonic() - started)
