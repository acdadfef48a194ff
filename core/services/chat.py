"""Chats in the shape of OpenAI's API: what a request must keep to, and the analysis made of it.

Only what Vitrine itself relies on is checked: messages, images, tool calls, the model, and what bounds the
cost. Every other field goes to the endpoint as it came, whose business it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.desk import Desk
from core.errors import InvalidImage, InvalidRequest, ModelNotFound, VitrineError, WrongState, quoted
from core.models import ApiKey
from core.reuse import OFF, Cache
from core.services import analyses, image_urls, models, reuse, tool_calls
from core.services.analyses import LOOK_SECONDS, Image
from core.services.bodies import demand_storable
from core.services.body_costs import MOST_TOKENS
from core.services.files import Upload, check_images
from core.services.idempotency import Once
from core.services.models import FindPreset
from core.states import FINAL
from core.store import analyses as rows

PRESET, PRESET_VERSION = "chat", 1
"""What stands in the place of a preset; there is no pack of this name, for a chat has no words of ours."""
REFERENCE = "vitrine:image/"
"""Begins what stands in a stored body where an image was; its position among the images follows."""
ROLES = ("developer", "system", "user", "assistant", "tool", "function")
MOST_CHOICES = 128
FILE_ID = re.compile(r"[\w-]{1,40}", re.ASCII)

Standing = rows.Standing
ReadImage = Callable[[str], Upload]
"""Makes an upload of a data URL. Raises VitrineError."""
ReadUrl = Callable[[str], Image]
"""The same of any URL; those of the web are fetched later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request that keeps the rules."""

    body: dict[str, Any]
    """As it came, each image replaced by a reference to its position among the images."""
    images: Sequence[Image]
    places: Sequence[str] = ()
    """Where each image stands in the request."""
    model: str
    max_tokens: int | None
    """Of one choice; None where the client set no limit."""
    stream: bool
    include_usage: bool
    cache: Cache = OFF
    """Whether an earlier answer will do, which is never streamed."""


def parse(
    desk: Desk,
    body: Mapping[str, Any],
    read_image: ReadImage,
    find_preset: FindPreset,
    cache: Cache = OFF,
) -> ChatRequest:
    """Check a request and take its images out of it.

    Raises InvalidRequest, InvalidToolCall, InvalidImage, ModelNotFound, FileTooLarge, UnsupportedMediaType.
    """
    images: dict[str, Image] = {}

    def read(url: str) -> Image:
        if image_urls.looks_like_one(url):
            return image_urls.checked(desk, url)
        upload = read_image(url)
        check_images(desk, [upload])
        return upload

    messages = [
        _message(message, f"messages[{place}]", images, read)
        for place, message in enumerate(_filled_list(body.get("messages"), "messages"))
    ]
    _check_count(desk, len(images))
    tool_calls.check(messages)
    _whole(body, "n", MOST_CHOICES)
    limits = [_whole(body, name, MOST_TOKENS) for name in ("max_completion_tokens", "max_tokens")]
    stream, options = _flag(body, "stream"), body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise _invalid("stream_options must be an object.", "stream_options")
    stored = models.with_preset(desk, {**body, "messages": messages}, find_preset)
    demand_storable(stored)
    return ChatRequest(
        body=stored,
        images=list(images.values()),
        places=list(images),
        model=model_of(desk, stored.get("model")),
        max_tokens=next((limit for limit in limits if limit is not None), None),
        stream=stream,
        include_usage=_flag(options, "include_usage"),
        cache=cache,
    )


def submit(desk: Desk, key: ApiKey, chat: ChatRequest, request_id: str, once: Once | None = None) -> str:
    """Accept a chat; the id of its analysis, or of what `once` made. Raises as analyses.submit does."""
    analysis = analyses.fresh(key, request_id, **columns(desk, chat))
    try:
        return analyses.accept(desk, key, analysis, chat.images, once)
    except VitrineError as error:
        if chat.places and "position" in error.details:
            error.details["field"] = chat.places[error.details["position"]]
        raise


def columns(desk: Desk, chat: ChatRequest) -> dict[str, Any]:
    """What a chat puts into the row of its analysis, alone or as an item of a batch."""
    return {
        "preset": PRESET,
        "preset_version": PRESET_VERSION,
        "question": None,
        "context": None,
        "model": chat.model,
        "max_tokens": chat.max_tokens or desk.settings.default_max_tokens,
        "temperature": desk.settings.default_temperature,
        "detail": "auto",
        "meta": {},
        "body": chat.body,
        "cache_seconds": None if chat.stream else reuse.max_age(desk, chat.cache),
    }


def look(desk: Desk, account_id: str, analysis_id: str) -> Standing:
    """How a chat stands, and what the endpoint said. Raises NotFound."""
    with desk.database.driver() as driver:
        return rows.standing(driver, account_id, analysis_id)


def wait(
    desk: Desk,
    account_id: str,
    analysis_id: str,
    seconds: float,
    is_over: Callable[[], bool],
    *,
    is_new: bool,
) -> Standing:
    """How a chat stands as soon as it is final, or when time is up or `is_over`. Raises NotFound.

    One that `is_new` cannot be final yet: the first look is saved.
    """
    end = time.monotonic() + seconds
    if is_new:
        desk.events.wait(analysis_id, min(seconds, LOOK_SECONDS))
    while True:
        found, left = look(desk, account_id, analysis_id), end - time.monotonic()
        if found.state in FINAL or left <= 0 or is_over():
            return found
        desk.events.wait(analysis_id, min(left, LOOK_SECONDS))


def abandon(desk: Desk, account_id: str, analysis_id: str) -> None:
    """Cancel a chat whose client has gone; one that is final stays as it is."""
    with suppress(WrongState):
        analyses.cancel(desk, account_id, analysis_id)


def _message(message: Any, param: str, images: dict[str, Image], read: ReadUrl) -> dict[str, Any]:
    """A message, its images replaced by references and added to the others by where they stand."""
    if not isinstance(message, dict):
        raise _invalid(f"{param} must be an object.", param)
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise _invalid(f"{param}.role must be one of: {', '.join(ROLES)}.", f"{param}.role")
    if isinstance(content, str) or (content is None and role in {"assistant", "function"}):
        return message
    parts = _filled_list(content, f"{param}.content", "a text or a list of at least one part")
    taken = [_part(part, f"{param}.content[{place}]", images, read) for place, part in enumerate(parts)]
    return {**message, "content": taken}


def _part(part: Any, param: str, images: dict[str, Image], read: ReadUrl) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise _invalid(f"{param} must be an object with a type.", param)
    if kind == "text" and not isinstance(part.get("text"), str):
        raise _invalid(f"{param}.text must be a text.", f"{param}.text")
    if kind != "image_url":
        return dict(part)
    given = part.get("image_url")
    param = f"{param}.image_url"
    if not isinstance(given, dict):
        raise _invalid(f"{param} must be an object with a url, or with the file_id of a file.", param)
    if not isinstance(given.get("detail", ""), str):
        raise _invalid(f"{param}.detail must be a text.", f"{param}.detail")
    images[param] = _image(given, param, read)
    kept = {name: value for name, value in given.items() if name not in {"url", "file_id"}}
    return {**part, "image_url": {"url": f"{REFERENCE}{len(images) - 1}", **kept}}


def _image(given: Mapping[str, Any], param: str, read: ReadUrl) -> Image:
    url, file_id = given.get("url"), given.get("file_id")
    if (url is None) == (file_id is None):
        raise _invalid(f"{param} needs either a url or a file_id.", param)
    if file_id is not None:
        if not isinstance(file_id, str) or not FILE_ID.fullmatch(file_id):
            raise _invalid(f"{param}.file_id must be the id of a file.", f"{param}.file_id")
        return file_id
    if isinstance(url, str) and (url[:5].lower() == "data:" or image_urls.looks_like_one(url)):
        return _read_at(param, url, read)
    raise InvalidImage(
        "It is no image: send a URL, a data URL with base64, or the file_id of an upload.",
        details={"field": param},
    )


def _read_at(param: str, url: str, read: ReadUrl) -> Image:
    """The image; what is wrong with it names the place where it stands."""
    try:
        return read(url)
    except VitrineError as error:
        error.details["field"] = param
        raise


def _check_count(desk: Desk, images: int) -> None:
    most = desk.settings.max_images
    if images > most:
        raise _invalid(f"A chat takes at most {most} images.", "messages")


def model_of(desk: Desk, name: Any) -> str:
    """The model that a chat names, the default where it names none. Raises ModelNotFound."""
    settings = desk.settings
    if name is None:
        return settings.vision_model
    if name not in settings.models:
        known = ", ".join(settings.models)
        raise ModelNotFound(
            f"The model {quoted(name)} is not served here; these are: {known}.", details={"field": "model"}
        )
    return str(name)


def _filled_list(value: Any, param: str, what: str = "a list of at least one") -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _invalid(f"{param} must be {what}.", param)
    return value


def _whole(body: Mapping[str, Any], name: str, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise _invalid(f"{name} must be a whole number from 1 to {most:,}.", name)
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise _invalid(f"{name} must be true or false.", name)
    return bool(value)


def _invalid(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, details={"field": param})
