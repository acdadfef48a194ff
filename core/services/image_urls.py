"""Images that are named by their address on the web, as they are submitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.addresses import AddressRules
from core.desk import Desk
from core.errors import InvalidRequest

SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """Where a worker is to fetch an image; judged by how it is written, and again when it is fetched."""

    url: str


def looks_like_one(text: str) -> bool:
    """Whether a text in the place of a file's id is rather an address."""
    return text.lstrip()[:8].lower().startswith(SCHEMES)


def checked(desk: Desk, url: Any) -> ImageUrl:
    """An address that may be fetched from, as far as its text tells. Raises InvalidRequest."""
    if not isinstance(url, str):
        raise InvalidRequest("url must be a text.")
    if not desk.settings.url_images:
        raise InvalidRequest("Images are not fetched from addresses here: upload them.")
    AddressRules.of(desk.settings).check(url)
    return ImageUrl(url)
