"""The items of a batch as they come in: each is checked, and every problem is told, not the first one only.

Checked by hand rather than by a schema library, for there are 50,000 of them within a request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import json_schemas, quality
from core import reuse as caching
from core.desk import Desk
from core.errors import InvalidRequest, VitrineError
from core.image_sizes import DETAILS
from core.models.analysis import CUSTOM_ID_LENGTH
from core.presets import Preset
from core.presets.preset import LARGEST_OPTIONS
from core.services import image_urls, reuse
from core.services.analyses import CONTEXT_LENGTH, METADATA_BYTES, QUESTION_LENGTH, Image
from core.services.files import Upload
from core.services.known_files import KnownFiles
from core.services.near_reuse import NEAR
from core.services.presets import check_cascade, check_form, find, models_of, too_few_tokens
from core.services.problems import Problems
from core.services.rows import MOST_ITEMS, Broken, Picture, Row, by_sku, given, pictures, too_many
from core.views import SKU_LENGTH, problem_of

MOST_TOKENS = 128_000
MODEL_LENGTH = 200
FILE_ID_LENGTH = 40
FIELDS = frozenset(
    {
        "custom_id",
        "sku",
        "image",
        "images",
        "view",
        "question",
        "context",
        "preset",
        "preset_options",
        "response_format",
        "require_quality",
        "model",
        "stronger_model",
        "max_tokens",
        "temperature",
        "detail",
        "max_image_tokens",
        "metadata",
        "cache",
        "reuse",
    }
)
SOURCES = frozenset({"file_id", "url", "base64"})
"""Of an image: exactly one of them."""
OF_AN_IMAGE = SOURCES | {"name", "view"}
SIZE = frozenset({"width", "height"})
THERE_ARE = f"there are: {', '.join(sorted(FIELDS))}."
DEFAULTS = FIELDS - {"custom_id", "sku", "image", "images", "view"}

LARGEST_SIDE = 100_000
"""px that an image known by its size may say."""

Reader = Callable[[Any], Upload]
"""Makes an upload of an image that came inside the item. Raises VitrineError."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An image that is only known by its size in px, which is enough for an estimate."""

    width: int
    height: int


@dataclass(slots=True)
class Item:
    """One analysis to be made."""

    custom_id: str
    sku: str | None
    preset: Preset
    question: str | None
    context: str | None
    model: str
    max_tokens: int
    temperature: float
    detail: str
    metadata: dict[str, Any]
    preset_options: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    require_quality: list[str] | None = None
    stronger_model: str | None = None
    max_image_tokens: int | None = None
    images: list[Image | Measured] = field(default_factory=list)
    views: list[str | None] = field(default_factory=list)
    """What each image shows, where that is named."""
    cache_seconds: int | None = None
    fingerprint: bytes | None = None
    reuses_near: bool = False


class Items:
    """Reads items of an account under the defaults of their batch.

    Where nothing is to be run, images may be `measured`: known by their size alone.
    """

    def __init__(
        self,
        desk: Desk,
        account_id: str,
        defaults: Mapping[str, Any],
        read_image: Reader,
        *,
        measured: bool = False,
        problems: Problems | None = None,
    ) -> None:
        unknown = sorted(set(defaults) - DEFAULTS)
        if unknown:
            raise InvalidRequest(f"defaults has no {unknown[0]!r}; it takes: {', '.join(sorted(DEFAULTS))}.")
        self._desk = desk
        self._account_id = account_id
        self._defaults = given(defaults)
        self._read_image = read_image
        self._measured = measured
        self._seen: set[str] = set()
        self._presets: dict[str | None, Preset] = {}
        self._forms: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._models = frozenset(desk.settings.models)
        self.problems = problems or Problems()
        self._files = KnownFiles(desk, account_id, self.problems)
        self._fingerprints = reuse.Fingerprints(desk, account_id)

    def read(self, rows: Iterable[tuple[int, Any]], *, grouped: bool = False) -> list[Item]:
        """The items of (line, row) pairs; where they are grouped, one item for all rows of a SKU.

        Raises InvalidRequest with every problem, or for none or too many.
        """
        items = []
        if grouped:
            rows = by_sku(rows, self._desk.settings.max_images)
        for count, (line, row) in enumerate(rows, 1):
            if count > MOST_ITEMS:
                raise too_many()
            before = self.problems.count
            item = self._item(line, row)
            if item is not None and self.problems.count == before:
                items.append(item)
        self._files.settle()
        self.problems.raise_any()
        if not items:
            raise InvalidRequest("A batch needs at least one item.", details={"field": "inputs"})
        for item in items:
            if item.cache_seconds is not None:
                digests = [self._digest(image) for image in item.images]
                item.fingerprint = self._fingerprints.of(item, item.preset, digests)
        return items

    def _item(self, line: int, content: Any) -> Item | None:
        if not isinstance(content, (dict, Row)):
            broken = content if isinstance(content, Broken) else Broken("An item is a JSON object.")
            self.problems.add(line, broken.custom_id, broken.field, broken.why)
            return None
        said = content if isinstance(content, Row) else Row(line, f"item-{line}", given(content), [])
        row, custom_id = said.fields, self._custom_id(said)

        def problem(name: str, why: str) -> None:
            self.problems.add(line, custom_id, name, why)

        for name in row.keys() - FIELDS:
            problem(str(name)[:100], f"There is no such field; {THERE_ARE}")
        values = {**self._defaults, **row} if self._defaults else row
        preset = self._preset(values.get("preset"), problem)
        settings = self._desk.settings
        if values.get("question") is None and values.get("preset") is None:
            problem("question", "Ask a question or name a preset.")
        wanted = self._model(values.get("model"), problem)
        stronger = _text(values, "stronger_model", MODEL_LENGTH, problem)
        model, stronger = models_of(self._desk, preset, wanted, stronger)
        item = Item(
            custom_id=custom_id,
            sku=_text(row, "sku", SKU_LENGTH, problem, blank=False),
            preset=preset,
            question=_text(values, "question", QUESTION_LENGTH, problem, blank=False),
            context=_text(values, "context", CONTEXT_LENGTH, problem),
            model=model,
            stronger_model=stronger,
            max_tokens=_number(values, "max_tokens", 1, MOST_TOKENS, problem, whole=True)
            or settings.default_max_tokens,
            temperature=_or(_number(values, "temperature", 0, 2, problem), settings.default_temperature),
            detail=values.get("detail") or preset.detail,
            max_image_tokens=_number(values, "max_image_tokens", 1, MOST_TOKENS, problem, whole=True)
            or preset.max_image_tokens,
            metadata=_object(values, "metadata", METADATA_BYTES, problem),
            preset_options=_object(values, "preset_options", LARGEST_OPTIONS, problem) or None,
            response_format=_object(values, "response_format", json_schemas.LARGEST, problem) or None,
            require_quality=_rule_sets(values.get("require_quality"), problem),
            cache_seconds=self._max_age(values.get("cache", caching.AUTO), problem),
            reuses_near=values.get("reuse") is not None,
        )
        self._check_form(item, problem)
        if values.get("reuse") not in (None, NEAR):
            problem("reuse", f"Must be {NEAR}, or be left out.")
        if item.detail not in DETAILS:
            problem("detail", f"Must be one of: {', '.join(DETAILS)}.")
        if why := too_few_tokens(self._desk, item.model, item.detail, item.max_image_tokens):
            problem("max_image_tokens", why)
        self._take_images(item, said, problem)
        return item

    def _custom_id(self, row: Row) -> str:
        custom_id = row.fields.get("custom_id", row.name)
        if (
            not isinstance(custom_id, str)
            or not 0 < len(custom_id) <= CUSTOM_ID_LENGTH
            or not is_storable(custom_id)
        ):
            if "custom_id" in row.fields:  # else it is its SKU that is wrong, and told as such
                why = f"Must be a text of 1 to {CUSTOM_ID_LENGTH} characters."
                self.problems.add(row.line, None, "custom_id", why)
            return f"item-{row.line}"
        if custom_id in self._seen:
            self.problems.add(row.line, custom_id, "custom_id", "Another item has it already.")
        self._seen.add(custom_id)
        return custom_id

    def _take_images(self, item: Item, row: Row, problem: Callable[[str, str], None]) -> None:
        """Give an item its images; what is wrong with one is told in the line that it came in."""
        try:
            found, most = row.pictures or pictures(row.line, row.fields), self._desk.settings.max_images
        except InvalidRequest as error:
            return problem("images", error.message)
        if not 0 < len(found) <= most:
            return problem("images", f"Give 1 to {most} images.")
        for picture in found:
            try:
                image = self._image(picture.image)
            except VitrineError as error:
                self.problems.add(picture.line, item.custom_id, "images", error.message)
                continue
            if isinstance(image, str) and image not in item.images:
                self._files.demand(picture.line, item.custom_id, image)
            item.views.append(self._view(item, picture))
            item.images.append(image)
        return None

    def _view(self, item: Item, picture: Picture) -> str | None:
        """What an image shows, unlike the item's other images."""
        named = picture.image.get("view") if isinstance(picture.image, dict) else None
        view = named if picture.view is None else picture.view
        if view is None:
            return None
        if why := problem_of(view):
            self.problems.add(picture.line, item.custom_id, "view", why)
            return None
        if any(other and other.casefold() == view.casefold() for other in item.views):
            self.problems.add(picture.line, item.custom_id, "view", f"Another image is its {view!r} already.")
        return str(view)

    def _image(self, image: Any) -> Image | Measured:
        if isinstance(image, Upload):
            return image
        if isinstance(image, str):
            image = {"url": image.strip()} if image_urls.looks_like_one(image) else {"file_id": image}
        if self._measured and isinstance(image, dict) and image.keys() & SIZE:
            return self._size(image)
        image = given(image) if isinstance(image, dict) else {}
        _demand_known(image, OF_AN_IMAGE)
        if len(SOURCES & image.keys()) != 1:
            raise InvalidRequest("An image is a file id, a URL, or an object with file_id, url or base64.")
        if "base64" in image:
            return self._read_image(image)
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
        width, height = sides
        if width * height > (most := self._desk.settings.max_image_pixels):
            raise InvalidRequest(
                f"An image of {width:,} by {height:,} pixels is not taken: {most / 1e6:g} million at most."
            )
        return Measured(width, height)

    def _digest(self, image: Image | Measured) -> str | None:
        """SHA-256 of an image; None where that has to be fetched, or is not wanted."""
        if isinstance(image, (image_urls.ImageUrl, Measured)):
            return None
        return self._files.digest(image) if isinstance(image, str) else image.digest

    def _max_age(self, cache: Any, problem: Callable[[str, str], None]) -> int | None:
        try:
            return reuse.max_age(self._desk, caching.parsed(cache))
        except ValueError as error:
            problem("cache", str(error))
            return None

    def _preset(self, name: Any, problem: Callable[[str, str], None]) -> Preset:
        if isinstance(name, str) or name is None:
            try:
                if name not in self._presets:
                    self._presets[name] = find(self._desk, self._account_id, name)
                return self._presets[name]
            except InvalidRequest as error:
                problem("preset", error.message)
        else:
            problem("preset", "Must be a text.")
        return self._desk.presets.latest(None)

    def _check_form(self, item: Item, problem: Callable[[str, str], None]) -> None:
        """Judge options and form; most items of a batch have the same."""
        said = [item.preset_options, item.response_format, item.model, item.stronger_model]
        form = (item.preset.name, json.dumps(said))
        if form not in self._forms:
            self._forms[form] = self._problem_of(item)
        if found := self._forms[form]:
            problem(*found)

    def _problem_of(self, item: Item) -> tuple[str, str] | None:
        """The field whose form or options are not taken, and why."""
        options, form = item.preset_options, item.response_format
        try:
            check_form(self._desk, self._account_id, item.preset, options, form)
            check_cascade(self._desk, item.preset, item.model, item.stronger_model, form)
        except InvalidRequest as error:
            field = str(error.details["field"])
            return field[:100], error.message.removeprefix(f"{field}: ")
        return None

    def _model(self, name: Any, problem: Callable[[str, str], None]) -> str | None:
        if name is not None and (not isinstance(name, str) or name not in self._models):
            problem("model", f"Not served here; these are: {', '.join(self._desk.settings.models)}.")
        return name if isinstance(name, str) else None


def _demand_known(image: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raises InvalidRequest for an image with a field that means nothing."""
    for name in image.keys() - known:
        raise InvalidRequest(f"An image has no {str(name)[:100]!r}; it takes: {', '.join(sorted(known))}.")


def _text(
    values: Mapping[str, Any],
    name: str,
    most: int,
    problem: Callable[[str, str], None],
    *,
    blank: bool = True,
) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_storable(value):
        problem(name, "Must be a text without NUL or unpaired surrogate characters.")
        return None
    if len(value) > most:
        problem(name, f"Must have at most {most:,} characters.")
    if not blank and not value.strip():
        problem(name, "Must not be blank.")
    return value


def _number(
    values: Mapping[str, Any],
    name: str,
    least: float,
    most: float,
    problem: Callable[[str, str], None],
    *,
    whole: bool = False,
) -> Any:
    value = values.get(name)
    if value is None:
        return None
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        problem(name, f"Must be a {'whole ' if whole else ''}number from {least:g} to {most:g}.")
        return None
    return value


def _object(
    values: Mapping[str, Any], name: str, most: int, problem: Callable[[str, str], None]
) -> dict[str, Any]:
    """A JSON object of at most so many bytes; empty where it is left out or wrong."""
    value = values.get(name)
    if not value and (value is None or isinstance(value, dict)):
        return {}
    if not isinstance(value, dict):
        problem(name, "Must be a JSON object.")
        return {}
    try:
        encoded = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        problem(name, "Must not contain NaN or numbers without end, nor be nested too deeply.")
        return {}
    if len(encoded) > most:
        problem(name, f"May take at most {most:,} bytes as JSON.")
        return {}
    if "\\u0000" in encoded or ("\\ud" in encoded and not is_storable(json.dumps(value, ensure_ascii=False))):
        problem(name, "Must not contain NUL or unpaired surrogate characters.")
        return {}
    return value


def _rule_sets(names: Any, problem: Callable[[str, str], None]) -> list[str] | None:
    known = isinstance(names, list) and all(name in quality.rule_sets() for name in map(str, names))
    if names and (not known or len(set(names)) < len(names)):
        problem("require_quality", f"Must be a list of: {', '.join(quality.rule_sets())}; each once.")
        return None
    return names or None


def _or(value: Any, default: float) -> float:
    return default if value is None else float(value)


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text; ASCII, which most is, is judged without looking further."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return "\0" not in text


def uploads_of(items: Sequence[Item]) -> list[Upload]:
    """The new bytes among the images, in their order."""
    return [image for item in items for image in item.images if isinstance(image, Upload)]
