"""What became of a chat, as an answer: the endpoint's own words under an id of ours."""

from __future__ import annotations

from typing import Any

from core.errors import from_code
from core.services import embeddings
from core.services.chat import Standing
from core.states import AnalysisState


def answered(found: Standing) -> tuple[int, dict[str, Any]]:
    """Status and body for a chat that is final.

    A refusal of the endpoint keeps its own status. Raises the error that the analysis failed with.
    """
    reply = found.reply
    if found.state == AnalysisState.COMPLETED:
        return 200, reply if found.preset == embeddings.PRESET else {**reply, "id": public_id(found.id)}
    if reply is not None:
        return reply["status_code"], reply["body"]
    raise from_code(found.error_code, found.error_message or found.reason, {"analysis_id": found.id})


def public_id(analysis_id: str) -> str:
    """The id of a completion: that of its analysis, with the prefix that OpenAI's clients know."""
    return f"chatcmpl-{analysis_id.removeprefix('an_')}"
