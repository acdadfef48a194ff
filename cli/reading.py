"""An analysis as text to read."""

from __future__ import annotations

from cli import wording
from cli.client import Analysis
from core.states import FINAL

INDENT = 12


def answer_of(analysis: Analysis) -> str:
    """The answer: in words, or one line for each field of one that is data."""
    data = analysis.get("data")
    if isinstance(data, dict):
        return "\n".join(f"{_label(name)}: {wording.one_line(value)}" for name, value in data.items())
    if data is not None:
        return wording.as_json(data, indent=2)
    return wording.printable(analysis.get("answer") or "")


def described(analysis: Analysis) -> str:
    """The whole analysis for a person."""
    rows = {
        "Analysis": analysis["id"],
        "Status": _status(analysis),
        "Images": "\n".join(_image(image) for image in analysis["images"]),
        "Preset": f"{analysis['preset']} (version {analysis['preset_version']})",
        "Model": models_of(analysis),
        "Question": analysis.get("question"),
        "Context": analysis.get("context"),
        "Answer": answer_of(analysis) if analysis["status"] == "completed" else None,
        "Reused" if analysis.get("reused_from") else "Cached": source_of(analysis),
        "Took": wording.bill(analysis) + _attempts(analysis) if analysis["status"] in FINAL else None,
        "Created": f"{analysis['created_at'][:19].replace('T', ' ')} UTC",
        "Request": analysis["request_id"],
    }
    return "\n".join(_row(name, text) for name, text in rows.items() if text)


def models_of(analysis: Analysis) -> str:
    """The model that answered; of a cascade, the one before it, what each cost, and why it was not enough."""
    cascade = analysis.get("cascade")
    if not cascade or cascade["reason"] is None:
        return wording.one_line(analysis["model"])
    first, stronger = (
        f"{wording.one_line(each['model'])} ({wording.amount(each['total_cost'], 'USD')})"
        for each in (cascade["first"], cascade["stronger"])
    )
    return f"{first}, then {stronger}: {wording.one_line(cascade['reason'])}"


def source_of(analysis: Analysis) -> str | None:
    """Whose answer it was given, and how near the pictures are; nothing where it has one of its own."""
    if not analysis.get("cached"):
        return None
    whose = f"the answer of {analysis['cached_from']}"
    if near := analysis.get("reused_from"):
        return f"{whose}, about another picture that shows the same ({near['distance']} of 256 bits apart)"
    return whose


def _row(name: str, text: str) -> str:
    """A name, and beside it its text, all of whose lines begin in one column."""
    return f"{name:<{INDENT}}" + wording.printable(text).replace("\n", "\n" + " " * INDENT)


def _status(analysis: Analysis) -> str:
    if analysis["status"] == "failed":
        return f"failed: {wording.problem_of(analysis)}"
    return wording.problem_of(analysis)


def _image(image: Analysis) -> str:
    if image["file_id"] is None:
        return wording.one_line(image["url"])
    shown = f"{wording.one_line(image['file_name'])} ({wording.size(image['file_size'])})"
    return f"{shown} from {wording.one_line(image['url'])}" if image["url"] else shown


def _attempts(analysis: Analysis) -> str:
    return f", {analysis['attempts']} attempts" if analysis["attempts"] > 1 else ""


def _label(name: str) -> str:
    return wording.one_line(name.replace("_", " "))
