"""`POST /v1/embeddings`: vectors that count words, so that texts with the same words are near each other.

The hashing trick: https://arxiv.org/abs/0902.2206. Nothing is understood, and no word is like another.
Messages in place of an input, which is vLLM's form for pictures, are answered with a vector of their picture.
"""

import asyncio
import json
import math
import re
from collections.abc import Sequence
from hashlib import blake2b
from http import HTTPStatus
from struct import pack
from typing import Any

import pybase64

from local.analyst.errors import ApiError, invalid
from local.analyst.handlers import JsonHandler
from local.analyst.ledger import Call
from local.analyst.measure import opened
from local.analyst.picture_vectors import vector
from local.analyst.request import MODEL, messages
from local.analyst.tokens import image_tokens, text_tokens

DIMENSIONS, MOST_DIMENSIONS = 64, 4096
MOST_TEXTS = 2048
WORD = re.compile(r"\w+")


class EmbeddingsHandler(JsonHandler):
    """One call: admit, count words, answer; and enter it in the ledger."""

    call: Call

    async def post(self) -> None:
        """Answer the call."""
        self.call = self.desk.ledger.open(self.request.headers.get("X-Request-ID"))
        try:
            await self._serve()
        except ApiError as error:
            self.desk.ledger.close(self.call, error.status)
            raise

    async def _serve(self) -> None:
        limits = self.desk.admit()
        body = _read(self.request.body)
        work = _pictured if "messages" in body else _worded
        loop = asyncio.get_running_loop()
        vectors, tokens = await loop.run_in_executor(self.desk.executor, work, body)
        limits |= self.desk.admit_tokens(tokens)
        for name, value in limits.items():
            self.set_header(name, value)
        as_base64 = body.get("encoding_format") == "base64"
        self.call.model, self.call.prompt_tokens, self.call.completion_tokens = MODEL, tokens, 0
        self.desk.ledger.close(self.call, HTTPStatus.OK)
        self.reply(
            {
                "object": "list",
                "model": MODEL,
                "data": [
                    {"object": "embedding", "index": index, "embedding": _shown(each, as_base64=as_base64)}
                    for index, each in enumerate(vectors)
                ],
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )


def _read(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise invalid("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    return body


def _worded(body: dict[str, Any]) -> tuple[list[list[float]], int]:
    """The vector of each text, and the tokens of all of them."""
    texts, tokens = _texts(body.get("input"))
    length = _dimensions(body)
    return [_vector(words, length) for words in texts], tokens


def _pictured(body: dict[str, Any]) -> tuple[list[list[float]], int]:
    """The vector of the one picture in messages, and the tokens of all that they say."""
    given = list(messages(body["messages"]))
    pictures = [picture for message in given for picture in message.pictures]
    if len(pictures) != 1:
        raise invalid("messages must have exactly one image.", "messages")
    [picture] = pictures
    small, _, (width, height) = opened(picture.data)
    tokens = image_tokens(width, height, picture.detail)
    return [vector(small)], tokens + sum(text_tokens(message.text) for message in given)


def _texts(given: Any) -> tuple[list[list[str]], int]:
    """The words of each text, and the tokens of all of them; numbers are tokens, and words of their own."""
    together = given if isinstance(given, list) and not _is_tokens(given) else [given]
    if not 0 < len(together) <= MOST_TEXTS:
        raise invalid(f"input takes 1 to {MOST_TEXTS} texts.", "input")
    texts, tokens = [], 0
    for text in together:
        if isinstance(text, str) and text:
            texts.append(WORD.findall(text.lower()))
            tokens += text_tokens(text)
        elif _is_tokens(text):
            texts.append([str(token) for token in text])
            tokens += len(text)
        else:
            raise invalid("input must be texts, or lists of tokens, none of them empty.", "input")
    return texts, tokens


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _dimensions(body: dict[str, Any]) -> int:
    value = body.get("dimensions", DIMENSIONS)
    if type(value) is not int or not 0 < value <= MOST_DIMENSIONS:
        raise invalid(f"dimensions must be a whole number from 1 to {MOST_DIMENSIONS}.", "dimensions")
    return value


def _vector(words: Sequence[str], length: int) -> list[float]:
    """A vector of length 1; where there are no words, the first axis."""
    counts = [0.0] * length
    for word in words:
        place = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        counts[place % length] += 1
    size = math.hypot(*counts)
    return [count / size for count in counts] if size else [1.0, *counts[1:]]


def _shown(vector: list[float], *, as_base64: bool) -> list[float] | str:
    """As OpenAI sends them: numbers, or little-endian 32-bit floats in base64."""
    return pybase64.b64encode(pack(f"<{len(vector)}f", *vector)).decode() if as_base64 else vector
