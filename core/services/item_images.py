"""The images of items as they come in: files, addresses, bytes, or sizes alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.desk import Desk
from core.errors import InvalidRequest, VitrineError, quoted
from core.image_header import HEAD, size_of
from core.services import image_urls
from core.services.analyses import Image
from core.services.files import Upload
from core.services.item_values import is_storable
from core.services.known_files import KnownFiles
from core.services.problems import Problems
from core.services.rows import Picture, Row, given, pictures
from core.views import problem_of

FILE_ID_LENGTH = 40
SOURCES = frozenset({"file_id", "url", "base64"})
"""Of an image: exactly one of them."""
OF_AN_IMAGE = SOURCES | {"name", "view"}
SIZE = frozenset({"width", "height"})
LARGEST_SIDE = 100_000
"""px that an image known by its size may say."""

Reader = Callable[[Any], Upload]
"""Makes an upload of an image that came inside the item. Raises VitrineError."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An image that is only known by its size in px, which is enough for an estimate."""

    width: int
    height: int


class ItemImages:
    """Reads the images of the items of one submission.

    Where nothing is to be run, images may be `measured`: known by their size alone.
    """

    def __init__(
        self, desk: Desk, account_id: str, read_image: Reader, problems: Problems, *, measured: bool
    ) -> None:
        self._settings = desk.settings
        self._desk = desk
        self._read_image = read_image
        self._measured = measured
        self._problems = problems
        self._files = KnownFiles(desk, account_id, problems)

    def read(self, row: Row, custom_id: str) -> tuple[list[Image | Measured], list[str | None]]:
        """An item's images, and what each shows where that is named.

        What is wrong with one is a problem of the line that it came in; files are judged by `settle`.
        """
        images: list[Image | Measured] = []
        views: list[str | None] = []
        for picture in self._pictures(row, custom_id):
            try:
                image = self._image(picture.image)
            except VitrineError as error:
                self._problems.add(picture.line, custom_id, "images", error.message)
                continue
            if isinstance(image, str) and image not in images:
                self._files.demand(picture.line, custom_id, image)
            views.append(self._view(picture, custom_id, views))
            images.append(image)
        return images, views

    def settle(self) -> None:
        """Judge the files that were named so far."""
        self._files.settle()

    def digest(self, image: Image | Measured) -> str | None:
        """SHA-256 of an image; None where that has to be fetched, or is not wanted."""
        if isinstance(image, (image_urls.ImageUrl, Measured)):
            return None
        return self._files.digest(image) if isinstance(image, str) else image.digest

    def _pictures(self, row: Row, custom_id: str) -> list[Picture]:
        """The images as they were given; none where that is a problem."""
        most = self._settings.max_images
        try:
            found = row.pictures or pictures(row.line, row.fields)
        except InvalidRequest as error:
            self._problems.add(row.line, custom_id, "images", error.message)
            return []
        if 0 < len(found) <= most:
            return found
        self._problems.add(row.line, custom_id, "images", f"Give 1 to {most} images.")
        return []

    def _view(self, picture: Picture, custom_id: str, others: list[str | None]) -> str | None:
        """What an image shows, unlike the item's other images."""
        named = picture.image.get("view") if isinstance(picture.image, dict) else None
        view = named if picture.view is None else picture.view
        if view is None:
            return None
        if why := problem_of(view):
            self._problems.add(picture.line, custom_id, "view", why)
            return None
        if any(other and other.casefold() == view.casefold() for other in others):
            self._problems.add(picture.line, custom_id, "view", f"Another image is its {view!r} already.")
        return str(view)

    def _image(self, image: Any) -> Image | Measured:
        if isinstance(image, Upload):
            return self._taken(image)
        if isinstance(image, str):
            image = {"url": image.strip()} if image_urls.looks_like_one(image) else {"file_id": image}
        if self._measured and isinstance(image, dict) and image.keys() & SIZE:
            return self._size(image)
        image = given(image) if isinstance(image, dict) else {}
        _demand_known(image, OF_AN_IMAGE)
        if len(SOURCES & image.keys()) != 1:
            raise InvalidRequest("An image is a file id, a URL, or an object with file_id, url or base64.")
        if "base64" in image:
            return self._taken(self._read_image(image))
        if "url" in image:
            return image_urls.checked(self._desk, image["url"])
        file_id = image["file_id"]
        if not isinstance(file_id, str) or not 0 < len(file_id) <= FILE_ID_LENGTH or not is_storable(file_id):
            raise InvalidRequest(f"A file id must be a text of 1 to {FILE_ID_LENGTH} characters.")
        return file_id

    def _size(self, image: dict[str, Any]) -> Measured:
        _demand_known(image, SIZE | {"view"})
        sides: list[Any] = [image.get("width"), image.get("height")]
        if any(type(side) is not int or not 1 <= side <= LARGEST_SIDE for side in sides):
            raise InvalidRequest(f"width and height must be whole numbers from 1 to {LARGEST_SIDE:,}.")
        self._demand_pixels(*sides)
        return Measured(*sides)

    def _taken(self, upload: Upload) -> Upload:
        """New bytes. Where nothing is to be run, their header is judged, for no worker will judge them."""
        if self._measured:
            upload.content.seek(0)
            self._demand_pixels(*(size_of(upload.content.read(HEAD)) or (0, 0)))
        return upload

    def _demand_pixels(self, width: int, height: int) -> None:
        if width * height > (most := self._settings.max_image_pixels):
            raise InvalidRequest(
                f"An image of {width:,} by {height:,} pixels is not taken: {most / 1e6:g} million at most."
            )


def _demand_known(image: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raises InvalidRequest for an image with a field that means nothing."""
    for name in image.keys() - known:
        raise InvalidRequest(f"An image has no {quoted(name)}; it takes: {', '.join(sorted(known))}.")
