"""An endpoint that turns calls away, fails, hangs and talks nonsense, all at once."""

from __future__ import annotations

from bench import _faults_truth as truth
from bench._faults_load import open_shop, questions
from bench._faults_truth import Outcome
from bench._system import System

FAULTS = {"limited_rate": 0.1, "error_rate": 0.1, "hang_rate": 0.05, "garbage_rate": 0.05}
MOST_CALLS = 1.6
"""For each item, those that are turned away included."""
END_SECONDS = 900.0


def endpoint(vitrine: System, *, items: int) -> Outcome:
    """Every item comes to an end, and few calls are made in vain."""
    shop = open_shop(vitrine, **FAULTS)
    shop.submit(questions(items))
    shop.until_all_done(END_SECONDS)
    found = truth.count(vitrine, shop.account_id)
    outcome = truth.judged("endpoint", found, most_extra=int((MOST_CALLS - 1) * items), may_fail=True)
    outcome.notes.append(f"{found.received / items:.2f} calls an item; {found.lost} failed after four tries")
    return outcome
