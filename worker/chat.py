"""Requests of the OpenAI API on their way: the client's own, with the prepared images put back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.services import body_costs
from core.services.chat import REFERENCE
from core.services.outcomes import Claim
from worker.paths import EMBEDDINGS
from worker.prompt import STREAMED, Request

STREAMING = ("stream", "stream_options")


def request(claim: Claim, body: Mapping[str, Any], images: Sequence[str]) -> Request:
    """The request of a chat, or of embeddings; images are data URLs in their order."""
    if "messages" not in body:
        return _embedding(claim, body)
    with_chunks = bool(body.get("stream")) and claim.batch_id is None
    streamed = with_chunks or claim.streamed
    kept = {name: value for name, value in body.items() if name not in STREAMING}
    messages = [_restored(message, images) for message in body["messages"]]
    return Request(
        parameters=kept
        | {"model": claim.model, "messages": messages}
        | (_streaming(body) if streamed else {}),
        text=body_costs.text(body),
        most_tokens=body_costs.most_tokens(body),
        likely_tokens=(body.get("n") or 1) * claim.max_tokens,
        streamed=streamed,
        with_chunks=with_chunks,
    )


def details(body: Mapping[str, Any]) -> list[str]:
    """The `detail` that each image was sent with, in their order."""
    return [image.get("detail") or "auto" for image in _images(body)]


def _embedding(claim: Claim, body: Mapping[str, Any]) -> Request:
    return Request(
        path=EMBEDDINGS,
        parameters={**body, "model": claim.model},
        text=body_costs.text(body),
        most_tokens=0,
        likely_tokens=0,
    )


def _streaming(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a stream, with what the client asks of it."""
    options = {**(body.get("stream_options") or {}), **STREAMED["stream_options"]}
    return {**STREAMED, "stream_options": options}


def _images(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    contents = [message.get("content") for message in body.get("messages", ())]
    for part in (part for content in contents if isinstance(content, list) for part in content):
        if part["type"] == "image_url":
            yield part["image_url"]


def _restored(message: dict[str, Any], images: Sequence[str]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_with_image(part, images) for part in content]}


def _with_image(part: dict[str, Any], images: Sequence[str]) -> dict[str, Any]:
    if part["type"] != "image_url":
        return part
    position = int(part["image_url"]["url"].removeprefix(REFERENCE))
    return {**part, "image_url": {**part["image_url"], "url": images[position]}}
