"""What marketplaces ask of product photographs, as data, and whether measures of one keep to it."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest, quoted

FOLDER = Path(__file__).parent
KEEPS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "one_of": lambda value, wanted: bool(value in wanted),
    "is": operator.eq,
}
UNITS = {"longest_side": " px", "shortest_side": " px", "width": " px", "height": " px", "bytes": " bytes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules of one marketplace for one kind of picture."""

    name: str
    title: str
    sources: Sequence[str]
    as_of: str
    """When the sources were read: marketplaces change their minds."""
    rules: Sequence[Mapping[str, Any]]
    """Each: a `measure`; one of `at_least`, `at_most`, `one_of` and `is`; a `level` (must, should); `why`."""

    def judge(self, measures: Mapping[str, Any]) -> dict[str, Any]:
        """Whether a picture keeps to all that it must keep to, and each rule that it breaks; for JSON."""
        broken = [found for rule in self.rules if (found := _broken(rule, measures))]
        return {
            "name": self.name,
            "title": self.title,
            "sources": list(self.sources),
            "as_of": self.as_of,
            "passed": all(found["level"] != "must" for found in broken),
            "reasons": broken,
        }


@cache
def rule_sets() -> dict[str, RuleSet]:
    """All that there are, by name."""
    files = sorted(FOLDER.glob("*.json"))
    return {file.stem: RuleSet(name=file.stem, **json.loads(file.read_text())) for file in files}


def named(names: Sequence[str], field: str = "require_quality") -> list[RuleSet]:
    """The rule sets of these names. Raises InvalidRequest."""
    known = rule_sets()
    for name in names:
        if name not in known:
            raise InvalidRequest(
                f"{field}: there is no rule set {quoted(name)}; there are: {', '.join(known)}.",
                details={"field": field},
            )
    return [known[name] for name in names]


def judged(
    names: Sequence[str], pictures: Sequence[Mapping[str, Any]], views: Sequence[str | None] = ()
) -> dict[str, Any]:
    """The report on pictures, given the measures of each: passed where all of them pass under every set."""
    sets = named(names)
    verdicts = [[rules.judge(measures) for rules in sets] for measures in pictures]
    images = [
        {"position": place, "view": view, "measures": dict(measures), "rule_sets": judgements}
        for place, (view, measures, judgements) in enumerate(
            zip(views or [None] * len(pictures), pictures, verdicts, strict=True)
        )
    ]
    passed = all(verdict["passed"] for judgements in verdicts for verdict in judgements)
    return {"passed": passed, "images": images}


def summary(report: Mapping[str, Any]) -> str:
    """A report in words."""
    return "\n".join(
        f"Image {image['position'] + 1}{_of(image['view'])}, {verdict['name']}: {_verdict(verdict)}"
        for image in report["images"]
        for verdict in image["rule_sets"]
    )


def _of(view: str | None) -> str:
    return f" ({view})" if view else ""


def _verdict(verdict: Mapping[str, Any]) -> str:
    said = "; ".join(found["reason"] for found in verdict["reasons"])
    return ("passed" if verdict["passed"] else "failed") + (f" ({said})" if said else "")


def _broken(rule: Mapping[str, Any], measures: Mapping[str, Any]) -> dict[str, Any] | None:
    """How a picture breaks a rule; None where it does not. What could not be measured breaks none."""
    name, value = rule["measure"], measures.get(rule["measure"])
    if value is None or _keeps(rule, value):
        return None
    unit = UNITS.get(name, "")
    wanted = next(f"{_words(key)}{_shown(rule[key])}{unit}" for key in KEEPS if key in rule)
    return {
        "measure": name,
        "level": rule["level"],
        "measured": value,
        "reason": f"{name} is {_shown(value)}{unit}, wanted {wanted}: {rule['why']}",
    }


def _keeps(rule: Mapping[str, Any], value: Any) -> bool:
    return all(keeps(value, rule[key]) for key, keeps in KEEPS.items() if key in rule)


def _words(key: str) -> str:
    return "" if key == "is" else key.replace("_", " ") + " "


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
