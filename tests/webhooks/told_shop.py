"""An account whose items end by hand, its webhooks, and a courier in this process."""

from ipaddress import ip_network

from ledger_shop import ANSWER, Shop, settled
from sqlalchemy import func, select, update

from core.addresses import AddressRules
from core.models import Analysis, Batch, Delivery, Webhook
from core.services import dispatching, outcomes, webhooks
from core.store import lanes
from worker.courier import Courier
from worker.outbound import Outbound

HERE = {"outbound_networks": (ip_network("127.0.0.0/8"),), "outbound_ports": (range(1, 65_536),)}
SCHEDULE = (1.0, 60.0, 3_600.0)


class Told(Shop):
    """An account, its webhooks, and what is delivered to them."""

    def __init__(self, desk, **spending):
        super().__init__(desk, **spending)
        self.courier = Courier(desk, Outbound(AddressRules.of(desk.settings)))

    def webhook(self, receiver, **options):
        return webhooks.create(self.desk, self.key.account_id, url=receiver.url, **options)

    def look(self, webhook):
        return webhooks.get(self.desk, self.key.account_id, webhook.id)

    def complete(self, **place):
        """An analysis that is answered; its id."""
        claimed, call_id = self.enter(self.claim(**place))
        outcomes.succeed(self.desk, claimed, ANSWER, settled(call_id))
        return claimed.id

    def complete_item(self, batch_id, position):
        """Answer an item that is there already."""
        with self.desk.database.transaction() as session:
            this = (Analysis.batch_id == batch_id, Analysis.position == position)
            analysis_id = session.scalar(select(Analysis.id).where(*this))
        claimed, call_id = self.enter(outcomes.claim(self.desk, analysis_id, "w"))
        outcomes.succeed(self.desk, claimed, ANSWER, settled(call_id))

    def move_on(self):
        dispatching.move_on(self.desk)

    def expire_batch(self, batch_id):
        """Turn the clock of a batch to behind its deadline."""
        with self.desk.database.transaction() as session:
            for row, this in ((Batch, Batch.id), (Analysis, Analysis.batch_id)):
                session.execute(update(row).where(this == batch_id).values(deadline_at=func.now()))

    def outbox(self, **filters):
        """Deliveries of the account, in the order in which they were told."""
        with self.desk.database.transaction() as session:
            query = select(Delivery).filter_by(account_id=self.key.account_id, **filters)
            return list(session.scalars(query.order_by(Delivery.created_at, Delivery.id)))

    def pick(self, most=200, in_lane=4, of_account=16):
        """What is rung for next, of this account."""
        with self.desk.database.driver() as driver:
            picked = lanes.pick(driver, most, in_lane=in_lane, of_account=of_account)
        mine = {row.id for row in self.outbox()}
        return [delivery_id for delivery_id in picked if delivery_id in mine]

    def deliver(self):
        """Send everything that is due, once."""
        for row in self.outbox(state="pending"):
            self.courier.deliver(row.id)

    def now(self):
        """The time of the database."""
        with self.desk.database.transaction() as session:
            return session.scalar(select(func.now()))

    def hurry(self):
        """Turn the clock: what waits for another try is due."""
        self.change(Delivery.account_id == self.key.account_id, next_attempt_at=func.now())

    def change(self, *where, **values):
        with self.desk.database.transaction() as session:
            session.execute(update(Delivery).where(*where).values(**values))

    def change_webhook(self, webhook, **values):
        with self.desk.database.transaction() as session:
            session.execute(update(Webhook).where(Webhook.id == webhook.id).values(**values))

    def history(self, webhook, delivery_id):
        return webhooks.delivery(self.desk, self.key.account_id, webhook.id, delivery_id).history
