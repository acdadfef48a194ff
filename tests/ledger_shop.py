"""An account whose calls are entered and closed by hand, on a database where nobody else works."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import func, select, update

from core.errors import VitrineError
from core.ids import new_id
from core.models import Analysis, Batch, Budget, BudgetKind, Call
from core.pricing import Cost, Usage, WorstCase
from core.services import keys, outcomes
from core.services.keys import Limits
from core.services.outcomes import Answer, Closing
from core.store import budgets

ANSWER = Answer("A mug.", None, None, "stop")
FAULT = VitrineError("no")
WORST = WorstCase(tokens=1_000, cost=Decimal("0.10"))


class Shop:
    """One key of one account."""

    def __init__(self, desk, **spending):
        self.desk = desk
        self.account = new_id("shop")
        made = keys.create(desk, account=self.account, name="test", unlimited=True, spending=kinds(spending))
        self.key, self.secret = made.key, made.secret

    def analysis(self, batch_id=None, position=None):
        row = Analysis(
            id=new_id("an"),
            account_id=self.key.account_id,
            key_id=self.key.id,
            batch_id=batch_id,
            position=position,
            custom_id=None if batch_id is None else f"item-{position}",
            request_id=new_id("req"),
            state="queued",
            preset="question",
            preset_version=1,
            model="gpt-4.1-mini",
            max_tokens=100,
            temperature=0,
            detail="auto",
            meta={},
            deadline_at=func.now() + timedelta(hours=1),
        )
        with self.desk.database.transaction() as session:
            session.add(row)
        return row.id

    def batch(self, max_cost=None, items=0):
        row = Batch(
            id=new_id("batch"),
            account_id=self.key.account_id,
            key_id=self.key.id,
            request_id="req-1",
            state="running",
            meta={},
            total=max(items, 1),
            priority=1,
            start_tag=0,
            deadline_at=func.now() + timedelta(hours=1),
        )
        with self.desk.database.transaction() as session:
            session.add(row)
            session.flush()
            if max_cost is not None:
                budgets.allow(session, row.id, BudgetKind.MAX_COST, Decimal(max_cost))
        for position in range(items):
            self.analysis(row.id, position)
        return row.id

    def claim(self, batch_id=None, position=None):
        return outcomes.claim(self.desk, self.analysis(batch_id, position), "w")

    def enter(self, claimed=None, worst=WORST):
        """A claim and the call entered for it."""
        claimed = claimed or self.claim()
        return claimed, outcomes.reserve(self.desk, claimed, worst, [])

    def settle(self, claimed, call_id, tokens=100, cost="0.01"):
        closing = settled(call_id, tokens, cost)
        outcomes.succeed(self.desk, claimed, ANSWER, closing)

    def limit(self, **spending):
        keys.limit(self.desk, self.key.id, Limits({}, kinds(spending)))

    def used(self, kind, owner=None):
        with self.desk.database.transaction() as session:
            query = select(Budget.used).where(Budget.owner_id == (owner or self.key.id), Budget.kind == kind)
            return session.scalar(query)

    def change_call(self, call_id, **values):
        with self.desk.database.transaction() as session:
            session.execute(update(Call).where(Call.id == call_id).values(**values))

    def change_analysis(self, analysis_id, **values):
        with self.desk.database.transaction() as session:
            session.execute(update(Analysis).where(Analysis.id == analysis_id).values(**values))

    def change_budget(self, **values):
        """Turn the clock of the key's budgets: another period, or what is used in it."""
        with self.desk.database.transaction() as session:
            session.execute(update(Budget).where(Budget.owner_id == self.key.id).values(**values))

    def wrong_sums(self):
        """Budgets of this account that are not what the books say."""
        with self.desk.database.transaction() as session:
            mine = {self.key.id, *session.scalars(select(Batch.id).where(Batch.key_id == self.key.id))}
            return [row for row in session.execute(budgets.wrong_sums()) if row.owner_id in mine]


def settled(call_id, tokens=100, cost="0.01"):
    usage = Usage(prompt_tokens=tokens - tokens // 3, completion_tokens=tokens // 3)
    return Closing.settled(call_id, usage, Cost(Decimal(cost), Decimal(0)), f"up-{call_id}")


def kinds(spending):
    return {BudgetKind(name): None if most is None else Decimal(most) for name, most in spending.items()}
