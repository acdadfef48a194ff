"""`/v1/chat/completions`: a chat is an analysis that somebody waits for."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from flask import Response, g
from marshmallow import ValidationError

from core.errors import InvalidImage
from core.services import chat
from core.services.chat import ChatRequest
from core.services.files import Upload
from core.services.keys import Scope
from core.services.models import preset_finder
from core.states import FINAL, AnalysisState
from webapp.hearing import hearing
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.openai_api import caching
from webapp.openai_api.errors import OpenAIBlueprint
from webapp.openai_api.streaming import ChatStream
from webapp.openai_api.waiting import Waiting, answer, place, waiting_for
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body, takes_headers
from webapp.schemas.chat import ChatBody, ChatCompletion
from webapp.schemas.media import decoded
from webapp.streams import streams
from webapp.uploads import spooled

FAILURES = (404, 409, 500, 502, 504)

blueprint = OpenAIBlueprint("chat", __name__, description="OpenAI's chat API over the same analyses.")


@blueprint.route("/chat/completions", methods=["POST"])
@blueprint.response(200, ChatCompletion, headers=DOCUMENTED | caching.DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=ChatBody)
@takes_headers(caching.HEADER)
@idempotent
@may_answer(*FAILURES)
def create(body: dict[str, Any]) -> Response:
    """Ask about texts and images, and wait for the answer; `stream` gives it as server-sent events."""
    cache = caching.asked()
    asked = chat.parse(desk(), body, read_image, preset_finder(desk(), key().account_id), cache)
    if asked.stream:
        return _streamed(asked)
    with place():
        found = _submitted(asked).final()
        return caching.told(answer(found), found)


def read_image(url: str) -> Upload:
    """The image in a data URL. Raises InvalidImage, FileTooLarge."""
    try:
        return spooled(decoded(url), "")
    except ValidationError as error:
        raise InvalidImage("An image is no base64 data URL, or its base64 is not valid.") from error


def _streamed(asked: ChatRequest) -> Response:
    """A stream; what fails soon is refused with a status of its own, as it would be without one."""
    with streams().seat() as seat, ExitStack() as otherwise:
        stream = ChatStream(_submitted(asked), hearing(), include_usage=asked.include_usage)
        otherwise.callback(stream.close)
        found = stream.begin()
        if found.state in FINAL and found.state != AnalysisState.COMPLETED:
            return answer(found)
        response = seat.response(stream.events())
        response.call_on_close(otherwise.pop_all().close)
        return response


def _submitted(asked: ChatRequest) -> Waiting:
    return waiting_for(chat.submit(desk(), key(), asked, g.request_id, once()))
