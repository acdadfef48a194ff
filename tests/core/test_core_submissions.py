"""A submission is stored by a statement that names its columns: none may be forgotten."""

from sqlalchemy import inspect

from core.services import analyses
from core.services.analyses import Submission
from core.store.submissions import OF_ANALYSIS


def test_everything_that_a_submission_decides_is_stored(desk, key):
    submission = Submission(images=[], question="?!")
    columns = analyses._columns(desk, submission, desk.presets.latest(None))
    row = analyses.fresh(key.key, "req_1", **columns)
    assert set(inspect(row).dict) - {"_sa_instance_state"} <= OF_ANALYSIS.keys()
