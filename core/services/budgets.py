"""What keys and batches may spend: shown, changed, and refused where it is used up.

Nothing here decides whether a call is made: that is the statement that enters it into the books. Here it is
told why it was not. See docs/decisions/0012-budgets.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from core.desk import Desk
from core.errors import BudgetExceeded, BudgetSetAside, InvalidRequest, VitrineError
from core.models import Analysis, ApiKey, BudgetKind
from core.presets import Preset
from core.presets.preset import MEASURE
from core.pricing import WorstCase
from core.services import body_costs
from core.store import budgets, outbox

Spending = budgets.Spending

LONGEST_WAIT = 86_400.0
"""Seconds; a month may be far from its end, and somebody may raise the limit before."""
NAMES = {
    BudgetKind.MONTHLY_USD: "monthly budget of this API key",
    BudgetKind.DAILY_TOKENS: "daily token budget of this API key",
    BudgetKind.MAX_COST: "max_cost of this batch",
}


def of_keys(desk: Desk, key_ids: Sequence[str]) -> list[Spending]:
    """The budgets of these keys as they stand."""
    with desk.database.transaction() as session:
        return budgets.spendings(session, key_ids)


def why_not(desk: Desk, owner_ids: Sequence[str], model: str, worst: WorstCase) -> VitrineError:
    """Why a call was not entered into the books: BudgetExceeded, BudgetSetAside or InvalidRequest."""
    with desk.database.transaction() as session:
        found = budgets.spendings(session, owner_ids)
    return refusal(found, model, worst) or BudgetSetAside()


def refusal(found: Sequence[Spending], model: str, worst: WorstCase) -> VitrineError | None:
    """Why no call of this size may be made, however little those on their way take; None where one may."""
    for spending in found:
        needed = needed_of(spending.kind, worst)
        if needed is None:
            return unpriced(model)
        if spending.spent + needed > spending.most:
            return _exceeded(spending, needed)
    return None


def tell_exceeded(desk: Desk, account_id: str, owner_ids: Sequence[str], error: VitrineError) -> None:
    """Tell webhooks of a budget that is used up; of one that is only set aside, nothing.

    Once for each limit and period, in a transaction of its own: what was refused left nothing behind.
    """
    if not isinstance(error, BudgetExceeded) or isinstance(error, BudgetSetAside):
        return
    told = {"object": "budget", "message": error.message, **error.details}
    with desk.database.transaction() as session:
        outbox.tell_budget(session, account_id, owner_ids, error.details["budget"], told)


@contextmanager
def telling(desk: Desk, key: ApiKey) -> Iterator[None]:
    """Around a transaction: tell webhooks where it is refused because the key's budget is used up."""
    try:
        yield
    except BudgetExceeded as error:
        tell_exceeded(desk, key.account_id, [key.id], error)
        raise


def demand_room(
    desk: Desk, session: Session, key: ApiKey, analysis: Analysis, preset: Preset | None, images: int
) -> None:
    """Refuse an analysis that its key cannot pay. Raises BudgetExceeded, InvalidRequest.

    What is passed on has no preset. The size of its images is not known yet: they count as small as can be,
    so that nothing is refused here that might be paid. Costs nothing where the key has no budget.
    """
    if not key.budgets or (preset and preset.method == MEASURE):
        return
    said, most_tokens = _bounds(analysis, preset)
    worst = desk.prices.worst_case(analysis.model, said, [(1, 1)] * images, most_tokens)
    problem = refusal(budgets.spendings(session, [key.id]), analysis.model, worst)
    if problem is not None:
        raise problem


def demand_prices(desk: Desk, key: ApiKey, models: set[str], max_cost: Decimal | None) -> None:
    """Refuse models whose cost cannot be bounded where it must be. Raises InvalidRequest."""
    in_usd = max_cost is not None or any(row.kind == BudgetKind.MONTHLY_USD for row in key.budgets)
    for model in sorted(models) if in_usd else ():
        if desk.prices.find(model) is None:
            raise unpriced(model)


def needed_of(kind: BudgetKind, worst: WorstCase) -> Decimal | None:
    """What a worst case is in the unit of a budget; None where nobody knows."""
    return Decimal(worst.tokens) if kind == BudgetKind.DAILY_TOKENS else worst.cost


def unpriced(model: str) -> InvalidRequest:
    """A model without a price is not asked under a budget in USD."""
    return InvalidRequest(
        f"The model {model!r} has no price, so that no budget in USD can be kept: name another,"
        " or give it a price in PRICE_TABLE.",
        details={"field": "model"},
    )


def counted(kind: BudgetKind, amount: Decimal) -> int | float:
    """An amount of a budget, for JSON: whole tokens, or USD."""
    return int(amount) if kind == BudgetKind.DAILY_TOKENS else float(amount)


def shown(kind: BudgetKind, amount: Decimal) -> str:
    """An amount of a budget, for people."""
    if kind == BudgetKind.DAILY_TOKENS:
        return f"{int(amount):,} tokens"
    return f"${amount.quantize(Decimal('0.01'))}" if amount >= 1 else f"${amount.normalize():f}"


def _bounds(analysis: Analysis, preset: Preset | None) -> tuple[str, int]:
    """What is said in an analysis, and the most tokens of its answer."""
    if preset is None:
        body = analysis.body or {}
        return body_costs.text(body), body_costs.most_tokens(body)
    said = [preset.prompt, analysis.question or preset.question, analysis.context or ""]
    return "\n".join(said), analysis.max_tokens


def _exceeded(spending: Spending, needed: Decimal) -> BudgetExceeded:
    most, spent, worst = (shown(spending.kind, each) for each in (spending.most, spending.spent, needed))
    details = {
        "budget": spending.kind,
        "limit": counted(spending.kind, spending.most),
        "spent": counted(spending.kind, spending.spent),
        "reserved": counted(spending.kind, spending.reserved),
        "needed": counted(spending.kind, needed),
        "resets_at": spending.resets_at and spending.resets_at.isoformat(),
    }
    how = "is used up" if spending.spent >= spending.most else "has no room left for this call"
    return BudgetExceeded(
        f"The {NAMES[spending.kind]} {how}: {spent} of {most} are spent, and a call may take {worst}.",
        details=details,
        retry_after=_until(spending.resets_at),
    )


def _until(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return min(LONGEST_WAIT, max(1.0, (moment - datetime.now(UTC)).total_seconds()))
