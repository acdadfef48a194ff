"""Bytes as clients send them: files of multipart bodies, base64 and data URLs."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from marshmallow import ValidationError, fields

DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(;[\w=.+-]+)*;base64,", re.ASCII | re.IGNORECASE)


class FilePart(fields.Field[Any]):
    """A file of a multipart body."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        if isinstance(value, list):
            raise ValidationError(f"Send one file, not {len(value)}.")
        if not hasattr(value, "stream"):
            raise ValidationError("Must be a file.")
        return value


def file_part(**kwargs: Any) -> FilePart:
    """A file, as OpenAPI 3.1 describes one."""
    # `format: binary` is what pages that show the document make a file chooser of.
    media = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    return FilePart(metadata=media, **kwargs)


class Base64(fields.String):
    """Bytes as base64 or as a data URL."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return decoded(super()._deserialize(value, attr, data, **kwargs))


def decoded(text: str) -> bytes:
    """The bytes of base64 or of a data URL. Raises ValidationError."""
    encoded = text[match.end() :] if (match := DATA_URL.match(text)) else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValidationError("Not valid base64, nor a base64 data URL.") from error
