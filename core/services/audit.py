"""Compares the books with the items, the budgets, and what the endpoint itself has on its ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from core.desk import Desk
from core.errors import NotFound
from core.store import accounts, audits
from core.store.analyses import USAGE
from core.store.audits import Query, Scope

Ledger = Iterable[Mapping[str, Any]]
"""Calls that an endpoint saw: upstream_id, request_id, prompt_tokens, completion_tokens, at."""
SLACK = timedelta(minutes=1)
"""For the sweep, which closes calls that are open for too long."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree with something else."""

    kind: str
    subject: str
    """The id of an analysis, call, key, batch or request."""
    detail: str


Check = tuple[str, Query, Callable[[RowMapping], tuple[str, str]]]
"""Its kind; a query for what is wrong; and the subject and detail of a row of that."""


def differences(
    desk: Desk, *, account: str | None, since: datetime | None, ledger: Ledger | None
) -> Iterator[Difference]:
    """Everything that does not agree, as it is found: flat in memory. Raises NotFound for the account."""
    with desk.database.transaction() as session:
        scope = Scope(_account_id(session, account), since)
        if ledger is not None:
            audits.keep_seen(session, ledger)
        longest = timedelta(seconds=desk.settings.call_timeout + desk.settings.worker_lease) + SLACK
        against = [] if ledger is None else _against_ledger(scope)
        for kind, query, told in [*_checks(scope, longest, desk.presets.measured()), *against]:
            for row in audits.read(session, query):
                yield Difference(kind, *told(row))


def _checks(scope: Scope, longest: timedelta, measured: Sequence[str]) -> list[Check]:
    return [
        ("usage_differs", audits.wrong_usage(scope), _usage),
        (
            "answer_without_call",
            audits.unpaid_answers(scope, measured),
            lambda row: (row["id"], "completed, but no call was answered"),
        ),
        (
            "reuse_of_another",
            audits.strange_reuses(scope),
            lambda row: (row["id"], f"given the answer of {row['cached_from']}, which is none to it"),
        ),
        (
            "call_left_open",
            audits.forgotten_calls(scope, longest),
            lambda row: (row["id"], f"open since {row['created_at']:%Y-%m-%d %H:%M:%S} UTC"),
        ),
        (
            "call_of_another",
            audits.strange_calls(scope),
            lambda row: (row["id"], f"not of the account, key or batch of {row['analysis_id']}"),
        ),
        ("budget_differs", audits.wrong_budgets(scope), _budget),
    ]


def _against_ledger(scope: Scope) -> list[Check]:
    return [
        (
            "never_seen",
            audits.never_seen(scope),
            lambda row: (row["id"], f"the endpoint has no {row['upstream_id']}, of {row['analysis_id']}"),
        ),
        (
            "not_in_the_books",
            audits.not_in_the_books(scope),
            lambda row: (
                row["request_id"] or "(no request id)",
                f"the endpoint saw {row['seen']} calls besides those answered, the books have {row['books']}",
            ),
        ),
        ("tokens_differ", audits.other_tokens(scope), _tokens),
    ]


def _usage(row: RowMapping) -> tuple[str, str]:
    wrong = [name for name in USAGE if row[name] != row[f"books_{name}"]]
    return row["id"], "; ".join(f"{name} {row[name]}, {row[f'books_{name}']} on the books" for name in wrong)


def _budget(row: RowMapping) -> tuple[str, str]:
    used, told = (f"{row[name].normalize():f}" for name in ("used", "told"))
    return row["owner_id"], f"{row['kind']}: {used} used, {told} on the books"


def _tokens(row: RowMapping) -> tuple[str, str]:
    ours, seen = (f"{row[f'{of}prompt_tokens']} + {row[f'{of}completion_tokens']}" for of in ("", "seen_"))
    return row["id"], f"{ours} on the books, {seen} seen"


def _account_id(session: Session, name: str | None) -> str | None:
    if name is None:
        return None
    found = accounts.find(session, name)
    if found is None:
        raise NotFound(f"There is no account {name!r}.")
    return found
