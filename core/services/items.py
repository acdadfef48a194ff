"""The items of a batch as they come in: each is checked, and every problem is told, not the first one only.

Checked by hand rather than by a schema library, for there are 50,000 of them within a request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import json_schemas
from core import reuse as caching
from core.desk import Desk
from core.errors import InvalidRequest
from core.image_sizes import DETAILS
from core.models.analysis import CUSTOM_ID_LENGTH
from core.presets import Preset
from core.presets.preset import LARGEST_OPTIONS
from core.services import reuse
from core.services.analyses import CONTEXT_LENGTH, METADATA_BYTES, QUESTION_LENGTH, Image
from core.services.files import Upload
from core.services.item_images import ItemImages, Measured, Reader
from core.services.item_values import Problem, Values, is_storable
from core.services.near_reuse import NEAR
from core.services.presets import check_cascade, check_form, find, models_of, too_few_tokens
from core.services.problems import Problems
from core.services.rows import MOST_ITEMS, Broken, Row, by_sku, given, too_many
from core.views import SKU_LENGTH

MOST_TOKENS = 128_000
MODEL_LENGTH = 200
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
THERE_ARE = f"there are: {', '.join(sorted(FIELDS))}."
DEFAULTS = FIELDS - {"custom_id", "sku", "image", "images", "view"}


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
        self._seen: set[str] = set()
        self._presets: dict[str | None, Preset] = {}
        self._forms: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._models = frozenset(desk.settings.models)
        self.problems = problems or Problems()
        self._images = ItemImages(desk, account_id, read_image, self.problems, measured=measured)
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
        self._images.settle()
        self.problems.raise_any()
        if not items:
            raise InvalidRequest("A batch needs at least one item.", details={"field": "inputs"})
        for item in items:
            if item.cache_seconds is not None:
                digests = [self._images.digest(image) for image in item.images]
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
        values = Values({**self._defaults, **row} if self._defaults else row, problem)
        item = self._asked(custom_id, values, problem)
        item.images, item.views = self._images.read(said, custom_id)
        self._check(item, values, problem)
        return item

    def _asked(self, custom_id: str, values: Values, problem: Problem) -> Item:
        """What is to be asked, and of which model."""
        settings, preset = self._desk.settings, self._preset(values.get("preset"), problem)
        wanted = self._model(values.get("model"), problem)
        model, stronger = models_of(self._desk, preset, wanted, values.text("stronger_model", MODEL_LENGTH))
        return Item(
            custom_id=custom_id,
            sku=values.text("sku", SKU_LENGTH, blank=False),
            preset=preset,
            question=values.text("question", QUESTION_LENGTH, blank=False),
            context=values.text("context", CONTEXT_LENGTH),
            model=model,
            stronger_model=stronger,
            max_tokens=values.whole("max_tokens", MOST_TOKENS) or settings.default_max_tokens,
            temperature=_or(values.number("temperature", 0, 2), settings.default_temperature),
            detail=values.get("detail") or preset.detail,
            max_image_tokens=values.whole("max_image_tokens", MOST_TOKENS) or preset.max_image_tokens,
            metadata=values.json_object("metadata", METADATA_BYTES),
            preset_options=values.json_object("preset_options", LARGEST_OPTIONS) or None,
            response_format=values.json_object("response_format", json_schemas.LARGEST) or None,
            require_quality=values.rule_sets("require_quality"),
            cache_seconds=self._max_age(values.get("cache", caching.AUTO), problem),
            reuses_near=values.get("reuse") is not None,
        )

    def _check(self, item: Item, values: Values, problem: Problem) -> None:
        """Judge what only shows in several values together."""
        if values.get("question") is None and values.get("preset") is None:
            problem("question", "Ask a question or name a preset.")
        self._check_form(item, problem)
        if values.get("reuse") not in (None, NEAR):
            problem("reuse", f"Must be {NEAR}, or be left out.")
        if item.detail not in DETAILS:
            problem("detail", f"Must be one of: {', '.join(DETAILS)}.")
        if why := too_few_tokens(self._desk, item.model, item.detail, item.max_image_tokens):
            problem("max_image_tokens", why)

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

    def _max_age(self, cache: Any, problem: Problem) -> int | None:
        try:
            return reuse.max_age(self._desk, caching.parsed(cache))
        except ValueError as error:
            problem("cache", str(error))
            return None

    def _preset(self, name: Any, problem: Problem) -> Preset:
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

    def _check_form(self, item: Item, problem: Problem) -> None:
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

    def _model(self, name: Any, problem: Problem) -> str | None:
        if name is not None and (not isinstance(name, str) or name not in self._models):
            problem("model", f"Not served here; these are: {', '.join(self._desk.settings.models)}.")
        return name if isinstance(name, str) else None


def _or(value: Any, default: float) -> float:
    return default if value is None else float(value)


def uploads_of(items: Sequence[Item]) -> list[Upload]:
    """The new bytes among the images, in their order."""
    return [image for item in items for image in item.images if isinstance(image, Upload)]
