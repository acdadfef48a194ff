"""The lines of a batch's two files."""

from __future__ import annotations

from typing import Any

from core.errors import from_code
from core.services.batch_files import Outcome
from core.states import AnalysisState
from webapp.openai_api.errors import detail
from webapp.openai_api.replies import public_id

NOT_RUN = {
    AnalysisState.EXPIRED: ("batch_expired", "This request could not be run before the batch expired."),
    AnalysisState.CANCELLED: ("batch_cancelled", "This request was not run, for the batch was cancelled."),
}


def line(row: Outcome) -> dict[str, Any]:
    """What a request came to; one that was never answered has an error in the place of a response."""
    about = {"id": f"batch_req_{row.id.removeprefix('an_')}", "custom_id": row.custom_id}
    if row.state in NOT_RUN:
        code, message = NOT_RUN[AnalysisState(row.state)]
        return about | {"response": None, "error": {"code": code, "message": message}}
    status, body = (200, _completion(row)) if row.state == AnalysisState.COMPLETED else _refusal(row)
    response = {"status_code": status, "request_id": row.request_id, "body": body}
    return about | {"response": response, "error": None}


def _completion(row: Outcome) -> Any:
    return {**row.reply, "id": public_id(row.id)}


def _refusal(row: Outcome) -> tuple[int, Any]:
    """In the words of the endpoint where it refused, otherwise in ours."""
    if row.reply is not None:
        return row.reply["status_code"], row.reply["body"]
    error = from_code(row.error_code, row.error_message, {})
    return error.status, {"error": detail(error)}
