"""Reads a chat completion request."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pybase64

from local.analyst.errors import ApiError, invalid

MODEL = "pixel-analyst"


@dataclass(frozen=True)
class Picture:
    """The bytes of one image and the `detail` it was sent with."""

    data: bytes
    detail: str


@dataclass(frozen=True)
class Message:
    """One message: its role, its text, its images."""

    role: str
    text: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Tool:
    """A function: its name, and the JSON Schema of its arguments."""

    name: str
    parameters: Any


@dataclass(frozen=True)
class ChatRequest:
    """What was asked. At most one of `schema` and `tools` is acted on; forced tools come first."""

    messages: tuple[Message, ...]
    stream: bool
    include_usage: bool
    max_tokens: int | None
    wants_json: bool
    schema: Any | None
    tools: tuple[Tool, ...]
    """That must be called, all at once."""
    extra_text: str

    @property
    def question(self) -> str:
        """The text of the last user message that has any."""
        asked = (message.text for message in reversed(self.messages) if message.role == "user")
        return next((text for text in asked if text.strip()), "")

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All images of the conversation; each is paid for."""
        return tuple(picture for message in self.messages for picture in message.pictures)

    @property
    def asked_pictures(self) -> int:
        """How many images, counted from the end of `pictures`, the answer is about."""
        counts = (len(message.pictures) for message in reversed(self.messages))
        return next((count for count in counts if count), 0)

    @property
    def text(self) -> str:
        """All text that is paid for."""
        return "".join(message.text for message in self.messages) + self.extra_text


def parse(body: bytes) -> ChatRequest:
    """Read a request body; raises ApiError with the status and the words OpenAI would use."""
    payload = _payload(body)
    _require_model(payload.get("model"))
    tools = tuple(_forced_tools(payload))
    schema, wants_json = (None, False) if tools else _wanted_form(payload)
    options = payload.get("stream_options")
    return ChatRequest(
        messages=tuple(messages(payload.get("messages"))),
        stream=payload.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        max_tokens=_max_tokens(payload),
        wants_json=wants_json,
        schema=schema,
        tools=tools,
        extra_text="".join(
            json.dumps(payload[key]) for key in ("tools", "response_format") if payload.get(key)
        ),
    )


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("The body of the request is not valid JSON.") from None
    if not isinstance(payload, dict):
        raise invalid("The body of the request must be a JSON object.")
    return payload


def _require_model(model: Any) -> None:
    """Also by a longer name, so that a cascade can be tried: it is the same all the same."""
    if not isinstance(model, str) or not model:
        raise invalid("You must provide a model parameter.", "model")
    if model != MODEL and not model.startswith(f"{MODEL}-"):
        raise ApiError(404, f"The model `{model}` does not exist.", param="model", code="model_not_found")


def _max_tokens(payload: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = payload.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid(f"{name} must be an integer of at least 1.", name)
        return value
    return None


def messages(given: Any) -> Iterator[Message]:
    """Read messages; raises ApiError (400)."""
    if not isinstance(given, list) or not given:
        raise invalid("messages must be an array with at least one message.", "messages")
    for place, message in enumerate(given):
        param = f"messages[{place}]"
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise invalid(f"{param} must be an object with a role.", param)
        text, pictures = _content(message.get("content"), f"{param}.content")
        yield Message(message["role"], text, pictures)


def _content(content: Any, param: str) -> tuple[str, tuple[Picture, ...]]:
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise invalid(f"{param} must be a string or an array of parts.", param)
    texts: list[str] = []
    pictures: list[Picture] = []
    for place, part in enumerate(content):
        read = _part(part, f"{param}[{place}]")
        if isinstance(read, Picture):
            pictures.append(read)
        else:
            texts.append(read)
    return "\n".join(texts), tuple(pictures)


def _part(part: Any, param: str) -> str | Picture:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind == "image_url":
        return _picture(part.get("image_url"), f"{param}.image_url")
    raise invalid(f"{param} must be a text or an image_url part.", param)


def _picture(value: Any, param: str) -> Picture:
    url = value.get("url") if isinstance(value, dict) else None
    if not isinstance(url, str):
        raise invalid(f"{param} must be an object with a url.", param, "invalid_image_url")
    head, comma, encoded = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        message = "Images are read from base64 data: URLs only; the pixel analyst fetches nothing."
        raise invalid(message, param, "invalid_image_url")
    try:
        data = pybase64.b64decode(encoded, validate=True)
    except ValueError:
        raise invalid("The image is not valid base64.", param, "invalid_base64") from None
    return Picture(data, str(value.get("detail") or "auto"))


def _wanted_form(payload: dict[str, Any]) -> tuple[Any | None, bool]:
    """Give the schema to fill, and whether JSON is wanted."""
    form = payload.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else None
    if form is None or kind == "text":
        return None, False
    if kind == "json_object":
        return None, True
    wrapper = form.get("json_schema") if kind == "json_schema" else None
    if not isinstance(wrapper, dict) or not isinstance(wrapper.get("schema"), dict):
        raise invalid(
            "response_format must be text, json_object, or json_schema with a schema.", "response_format"
        )
    return wrapper["schema"], False


def _forced_tools(payload: dict[str, Any]) -> list[Tool]:
    """Find the functions that must be called: the named one; where any is required all, or the first."""
    tools, choice = payload.get("tools"), payload.get("tool_choice")
    if not tools or choice is None or choice in ("auto", "none"):
        return []
    offered = [tool["function"] for tool in tools if _is_function(tool)] if isinstance(tools, list) else []
    name = choice["function"].get("name") if _is_choice(choice) else None
    wanted = [function for function in offered if choice == "required" or function["name"] == name]
    if not wanted:
        raise invalid("tool_choice must be none, auto, required, or name one of the tools.", "tool_choice")
    several = choice == "required" and payload.get("parallel_tool_calls") is not False
    chosen = wanted if several else wanted[:1]
    return [Tool(function["name"], function.get("parameters") or {"type": "object"}) for function in chosen]


def _is_function(tool: Any) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _is_choice(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("function"), dict)
