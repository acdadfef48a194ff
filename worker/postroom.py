"""The postroom of a worker process: what deliveries to webhooks need, opened once and closed in order."""

from __future__ import annotations

import time

from core.addresses import AddressRules
from core.desk import Desk
from core.leader import Leader
from core.services import deliveries, fleet
from worker.courier import Courier
from worker.outbound import Outbound
from worker.timetable import Timetable, done, for_a_while

DISPATCH_SECONDS = 0.25
BUSY_SECONDS = 0.05
PROGRESS_SECONDS = 2.0
REPORT_SECONDS = 5.0
TIDY_SECONDS = 300.0
TIDY_AT_MOST = 1.0


class Postroom:
    """One worker leads all postrooms: it rings for what is due."""

    def __init__(self, desk: Desk, name: str, *, reports: bool) -> None:
        """With `reports`, say that this worker lives, which a process that analyses says anyhow."""
        self._desk = desk
        self._name = name
        self._reports = reports
        self.courier = Courier(desk, Outbound(AddressRules.of(desk.settings)))
        self._leader = Leader(desk.database, "webhooks")
        self._timetables = [
            Timetable(
                "webhooks",
                [
                    (DISPATCH_SECONDS, self._dispatch),
                    (PROGRESS_SECONDS, self._tell_progress),
                ],
            ),
            Timetable("postroom", [(REPORT_SECONDS, self._report), (TIDY_SECONDS, self._tidy)]),
        ]

    def stop_claiming(self) -> None:
        """Begin to stop: finish what is being sent."""
        self.courier.stop_claiming()

    def close(self) -> None:
        """Finish the chores in hand and say good-bye."""
        for timetable in self._timetables:
            timetable.close()
        self._leader.resign()
        if self._reports:
            done(lambda: fleet.leave(self._desk, self._name))

    def _dispatch(self) -> None:
        """Look for what is due, and while there is much of it look more often."""
        end = time.monotonic() + DISPATCH_SECONDS
        while self._leader.ask(deliveries.any_due) and deliveries.dispatch(self._desk):
            if time.monotonic() > end:
                return
            time.sleep(BUSY_SECONDS)

    def _tell_progress(self) -> None:
        if self._leader.ask(deliveries.any_followed):
            deliveries.tell_progress(self._desk)

    def _report(self) -> None:
        if self._reports:
            fleet.report(self._desk, self._name, slots=0, endpoint={})

    def _tidy(self) -> None:
        for_a_while(lambda: deliveries.forget(self._desk), TIDY_AT_MOST)
