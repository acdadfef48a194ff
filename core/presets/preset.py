"""One version of a preset, and the pack that it is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from core.errors import InvalidRequest

ASK, MEASURE = "ask", "measure"
LARGEST_OPTIONS = 4_096
"""Bytes, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One version of a preset; the fields are those of its pack."""

    name: str
    version: int
    id: str | None = None
    """Of an account's own; None where it is built in."""
    title: str
    prompt: str
    question: str
    """Asked in the user's place when the submission has no question."""
    detail: str = "auto"
    max_image_tokens: int | None = None
    schema: dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    """JSON Schema of the options that a submission may give; none where there is no schema."""
    variants: Sequence[Mapping[str, Any]] = field(default=())
    """What options change: `when` they fit this schema, a `prompt` is added and a `schema` laid over."""

    method: str = ASK
    """MEASURE where the worker answers by itself, without a call."""

    found_field: str | None = None
    """The field of the answer that says whether there is a brand, or a box, at all."""
    brand_field: str | None = None
    """The field of the answer that names a brand, to be matched with those that the account knows."""
    boxes: Sequence[str] = ()
    """Fields of the answer that are boxes on an image, to be scaled back to the original's pixels."""
    box_image: str | None = None
    """The field of the answer with the number of that image, from 1; without it, boxes are on the first."""

    choices: str | None = None
    """The option that names the taxonomy of whose categories the answer is one."""

    models: Mapping[str, Any] | None = None
    """A cascade: the `first` model, the `stronger`, and when that is asked too (`threshold`, `must_know`)."""

    @property
    def defaults(self) -> dict[str, Any]:
        """The options where a submission gives none."""
        return {name: about["default"] for name, about in self._known.items() if "default" in about}

    def chosen(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """The options of a submission, where a list of one may be said as that one."""
        return {
            name: [value] if self._is_one(name, value) else value for name, value in (options or {}).items()
        }

    @property
    def is_plain(self) -> bool:
        """Whether its words and schema are all of it: one model is asked, and its answer stands as it is."""
        more = (self.brand_field, self.boxes, self.choices, self.models)
        return self.method == ASK and not any(more)

    def check(self, options: Mapping[str, Any] | None) -> None:
        """Raises InvalidRequest for options that this preset does not take."""
        if not options and self.options is None:
            return
        if self.options is None:
            raise InvalidRequest(
                f"The preset {self.name!r} takes no options.", details={"field": "preset_options"}
            )
        problem = next(Draft202012Validator(self.options).iter_errors(self.chosen(options)), None)
        if problem is not None:
            where = "preset_options" + problem.json_path.removeprefix("$")
            raise InvalidRequest(f"{where}: {problem.message[:200]}.", details={"field": where})

    @property
    def _known(self) -> Mapping[str, Any]:
        known = (self.options or {}).get("properties", {})
        return {name: about for name, about in known.items() if isinstance(about, dict)}

    def _is_one(self, name: str, value: Any) -> bool:
        return self._known.get(name, {}).get("type") == "array" and not isinstance(value, list)
