"""Turns of a conversation: what is said and its answer, which together are one analysis.

The messages of a turn, the answer's among them, are stored with the analysis in one transaction that holds
the session. Nothing else locks a session: it answers as long as the analysis of its last turn is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from core import json_schemas
from core.desk import Desk
from core.errors import Conflict, InvalidRequest
from core.ids import new_id
from core.models import Analysis, ApiKey, ChatSession, Message
from core.pricing import text_tokens
from core.services import analyses, budgets, chat, context, idempotency, sessions, tool_calls
from core.services.analyses import Image
from core.services.bodies import demand_storable
from core.services.chat import ChatRequest
from core.services.context import USER, Again, Said
from core.services.idempotency import Once
from core.services.models import sampling
from core.store import files, messages

PLAIN = {"type": "text"}
"""The form of an answer that was to have none: it is at least not empty, and no refusal."""
Spoken = messages.Spoken
RETRY_AFTER = 2.0
"""Seconds; an answer takes 1 to 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a client says, its shape checked; None takes the server's default."""

    said: Sequence[Said]
    """Answers of tools, and what the user says; in their order."""
    names: Sequence[str] = ()
    """Where each of them stands in the client's request."""
    images: Sequence[Image] = ()
    """Of what the user says last."""
    detail: str = "auto"
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    response_format: Mapping[str, Any] | None = None
    """In OpenAI's shape; the answer is held against its schema."""
    streamed: bool = False
    """Whether its answer is told while it is made."""
    tools: Mapping[str, Any] = field(default_factory=dict)
    """The fields of a chat about tools, which go to the endpoint as they came."""


def post(
    desk: Desk, key: ApiKey, session_id: str, turn: Turn, request_id: str, once: Once | None = None
) -> str:
    """Say something in a session; the id of the analysis that answers it, or of what `once` made before.

    Raises NotFound; Conflict while the session answers; InvalidToolCall; and as analyses.submit does.
    """
    model = _check(desk, turn)
    new = analyses.keep(desk, key.account_id, turn.images)
    analysis_id = new_id("an")
    with budgets.telling(desk, key), desk.database.transaction() as session:
        earlier = idempotency.earlier(desk, session, once, analysis_id)
        found = sessions.use(desk, session, key.account_id, session_id)
        if earlier is not None:
            return earlier
        _demand_free(session, found)
        history = _history(desk, session, found, turn)
        asked = _asked(desk, turn, model, found.system, history)
        analysis = _analysis(desk, key, request_id, turn, asked, analysis_id)
        analyses.enter(desk, session, key, analysis, asked.images, new)
        first_image = len(asked.images) - len(turn.images) if turn.images else None
        messages.add_turn(session, found, analysis_id, _rows(turn, first_image))
    return analysis_id


def ask(desk: Desk, key: ApiKey, turn: Turn, request_id: str, once: Once | None = None) -> str:
    """Say something by itself; the id of the analysis. Raises as `post` does."""
    asked = _asked(desk, turn, _check(desk, turn), None, [])
    analysis = _analysis(desk, key, request_id, turn, asked, new_id("an"))
    return analyses.accept(desk, key, analysis, asked.images, once)


def answer(desk: Desk, account_id: str, analysis_id: str) -> Spoken | None:
    """The message that a turn is answered by; None for what was asked by itself."""
    with desk.database.transaction() as session:
        return messages.of_turn(session, account_id, analysis_id)


def _check(desk: Desk, turn: Turn) -> str:
    """The model that is asked. Raises InvalidRequest, ModelNotFound."""
    if turn.images and (not turn.said or turn.said[-1].role != USER):
        raise InvalidRequest("Images belong to a message of the user's.", details={"field": "images"})
    if len(turn.images) > desk.settings.max_images:
        raise InvalidRequest(
            f"A message takes at most {desk.settings.max_images} images.", details={"field": "images"}
        )
    if turn.response_format is not None:
        json_schemas.schema_of(turn.response_format)
    return chat.model_of(desk, turn.model)


def _demand_free(session: Session, found: ChatSession) -> None:
    waits_for = messages.open_turn(session, found.id)
    if waits_for is not None:
        raise Conflict(
            "This session is answering another message: wait for that answer, or cancel it with"
            f" POST /api/v1/analyses/{waits_for}/cancel, then send this again.",
            details={"analysis_id": waits_for},
            retry_after=RETRY_AFTER,
        )


def _history(desk: Desk, session: Session, found: ChatSession, turn: Turn) -> Sequence[Said]:
    """What goes along with a turn. Raises InvalidToolCall where it does not answer what was called."""
    settings = desk.settings
    rows = messages.answered(session, found.id, settings.max_context_messages)
    history = context.read(rows, desk.prices)
    tool_calls.check([said.body(0) for said in turn.said], context.open_calls(history), turn.names)
    file_ids = [image.file_id for said in history for image in said.images]
    known = files.known(session, found.account_id, file_ids) if file_ids else set()
    again = Again(found.images)
    room = 0 if again == Again.LAST and turn.images else settings.max_images - len(turn.images)
    history = context.with_images(history, again, room, known)
    left = settings.max_context_tokens - text_tokens(found.system or "")
    return context.cut(history, settings.max_context_messages, left - sum(said.tokens for said in turn.said))


def _asked(desk: Desk, turn: Turn, model: str, system: str | None, history: Sequence[Said]) -> ChatRequest:
    """The request to the endpoint, and its images in their order. Raises FileTooLarge."""
    said: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    images: list[Image] = []
    for message in (*history, *turn.said):
        said.append(message.body(len(images)))
        images += [image.file_id for image in message.images]
    if turn.images:
        places = range(len(images), len(images) + len(turn.images))
        parts = [context.image_part(place, turn.detail) for place in places]
        said[-1]["content"] = [{"type": "text", "text": said[-1]["content"]}, *parts]
    most = turn.max_tokens or desk.settings.default_max_tokens
    form = {"response_format": dict(turn.response_format)} if turn.response_format else {}
    temperature = desk.settings.default_temperature if turn.temperature is None else turn.temperature
    body = {"model": model, "messages": said, **sampling(model, most, temperature), **form, **turn.tools}
    demand_storable(body)
    return ChatRequest(
        body=body,
        images=[*images, *turn.images],
        model=model,
        max_tokens=most,
        stream=False,
        include_usage=False,
    )


def _analysis(
    desk: Desk, key: ApiKey, request_id: str, turn: Turn, asked: ChatRequest, analysis_id: str
) -> Analysis:
    analysis = analyses.fresh(key, request_id, **chat.columns(desk, asked))
    analysis.id, analysis.detail, analysis.streamed = analysis_id, turn.detail, turn.streamed
    analysis.response_format = asked.body.get("response_format", PLAIN)
    if turn.temperature is not None:
        analysis.temperature = turn.temperature
    return analysis


def _rows(turn: Turn, first_image: int | None) -> list[Message]:
    """The messages of a turn: what is said, and the answer to come."""
    said = [
        Message(id=new_id("msg"), role=each.role, content=each.text, tool_call_id=each.tool_call_id)
        for each in turn.said
    ]
    said[-1].first_image = first_image
    return [*said, Message(id=new_id("msg"), role=context.ASSISTANT)]
