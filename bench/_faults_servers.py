"""Redis and Postgres that are wiped, killed or stopped."""

from __future__ import annotations

import signal
import time
from collections import Counter

from bench import _faults_truth as truth
from bench._faults_load import Posted, Shop, open_shop, posting, questions
from bench._faults_truth import Outcome
from bench._system import System, until
from bench.batches import scalar

POST_P99 = 5.0
PROGRESS_SECONDS = 10.0
STEP_SECONDS = 120.0
END_SECONDS = 300.0
KNOWN = "SELECT count(*) FROM analyses WHERE account_id = %s AND id = ANY(%s)"


def redis(vitrine: System, *, items: int, stopped: float) -> Outcome:
    """Wipe, kill and stop the queue's server, while a batch runs and analyses are posted."""
    shop = open_shop(vitrine)
    shop.submit(questions(items))
    waits: list[float] = []
    with posting(shop) as posted:
        for fault in (_wipe, _kill, lambda of: _stop_for(of, stopped)):
            shop.until_done(shop.done() + items // 20, STEP_SECONDS)
            fault(vitrine)
            waits.append(_seconds_to_progress(shop))
    shop.until_all_done(END_SECONDS)
    outcome = truth.judged("redis", truth.count(vitrine, shop.account_id), most_extra=0)
    outcome.recovery = max(waits)
    outcome.promise(max(waits) <= PROGRESS_SECONDS, f"no progress for {max(waits):.0f} s afterwards")
    outcome.promise(posted.p99() < POST_P99, f"p99 of a POST was {posted.p99():.1f} s")
    outcome.promise(not posted.refused, f"POSTs were refused: {posted.refused[:5]}")
    outcome.notes.append(
        f"{len(posted.seconds)} POSTs, p99 {posted.p99():.2f} s, longest {max(posted.seconds):.2f} s"
    )
    return outcome


def _wipe(vitrine: System) -> None:
    vitrine.valkey().flushall()


def _kill(vitrine: System) -> None:
    vitrine.queue.end(signal.SIGKILL)
    time.sleep(2)
    vitrine.queue.start()


def _stop_for(vitrine: System, seconds: float) -> None:
    vitrine.queue.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    vitrine.queue.process.send_signal(signal.SIGCONT)


def _seconds_to_progress(shop: Shop) -> float:
    started, done = time.monotonic(), shop.done()
    until(lambda: shop.done() > done, "nothing moves", STEP_SECONDS)
    return time.monotonic() - started


def postgres(vitrine: System, *, items: int, times: int) -> Outcome:
    """Restart Postgres at once (SIGQUIT, no farewell to anybody), while items run and analyses are posted."""
    shop = open_shop(vitrine)
    shop.submit(questions(items))
    waits: list[float] = []
    with posting(shop) as posted:
        for number in range(times):
            shop.until_done(1 + number * items * 9 // (times * 10), STEP_SECONDS)
            vitrine.postgres.end(signal.SIGQUIT)
            vitrine.postgres.start()
            waits.append(_seconds_to_progress(shop))
    shop.until_all_done(END_SECONDS)
    outcome = truth.judged("postgres", truth.count(vitrine, shop.account_id), most_extra=0)
    promise_known(outcome, shop, posted)
    outcome.recovery = max(waits)
    outcome.notes.append(
        f"{times} restarts; {len(posted.accepted)} POSTs accepted, refused: {told(posted) or 'none'}"
    )
    return outcome


def told(posted: Posted) -> str:
    """How the POSTs that were not accepted ended, in words."""
    return ", ".join(f"{count} x {status or 'broken'}" for status, count in Counter(posted.refused).items())


def promise_known(outcome: Outcome, shop: Shop, posted: Posted) -> None:
    """Every accepted analysis is there, and what was not accepted was refused in good order."""
    with shop.vitrine.database() as connection:
        found = scalar(connection, KNOWN, shop.account_id, posted.accepted)
    missing = len(posted.accepted) - found
    outcome.promise(missing == 0, f"{missing} accepted analyses are not there")
    wrong = sorted(set(posted.refused) - {503})
    outcome.promise(not wrong, f"POSTs were answered with {wrong}")
