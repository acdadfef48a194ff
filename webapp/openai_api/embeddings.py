"""`/v1/embeddings`: an analysis without images that somebody waits for."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from core.services import embeddings
from core.services.keys import Scope
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.openai_api.chat import FAILURES
from webapp.openai_api.errors import OpenAIBlueprint
from webapp.openai_api.waiting import answer, place, waiting_for
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body
from webapp.schemas.embeddings import EmbeddingList, EmbeddingsBody

blueprint = OpenAIBlueprint("embeddings", __name__, description="Embeddings, in the shape of the OpenAI API.")


@blueprint.route("/embeddings", methods=["POST"])
@blueprint.response(200, EmbeddingList, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=EmbeddingsBody)
@idempotent
@may_answer(*FAILURES)
def create(body: dict[str, Any]) -> Response:
    """Have texts made into vectors by the endpoint, and wait for them."""
    with place():
        return answer(waiting_for(embeddings.submit(desk(), key(), body, g.request_id, once())).final())
