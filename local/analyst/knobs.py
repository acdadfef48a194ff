"""How the endpoint should misbehave: one frozen set of knobs, and what each call draws from it."""

import dataclasses
import random
from dataclasses import dataclass, field
from typing import Any, Literal

from local.analyst.errors import invalid

Fault = Literal["hang", "limited", "error", "garbage", "empty"]


def _knob(default: Any, lowest: float | None, highest: float | None, text: str) -> Any:
    return field(default=default, metadata={"range": (lowest, highest), "help": text})


@dataclass(frozen=True)
class Knobs:
    """All knobs; the defaults make a fast and faultless endpoint."""

    latency: float = _knob(0.0, 0, 3600, "seconds each answer takes at least")
    latency_jitter: float = _knob(0.0, 0, 3600, "up to so many seconds more, drawn per call")
    token_pace: float = _knob(0.0, 0, 60, "seconds between two pieces of a stream")
    repeats: int = _knob(1, 1, 10_000, "times that a text is said in an answer")
    break_rate: float = _knob(0.0, 0, 1, "share of streams that are broken off in the middle")
    requests_per_minute: int = _knob(0, 0, None, "limit of requests, a token bucket; 0 is none")
    tokens_per_minute: int = _knob(0, 0, None, "limit of tokens, prompt and answer; 0 is none")
    rate_burst: float = _knob(60.0, 0, 60, "seconds of those limits that may be used at once")
    limited_rate: float = _knob(0.0, 0, 1, "share of calls turned away with 429 and Retry-After")
    error_rate: float = _knob(0.0, 0, 1, "share of calls that fail with error_status")
    error_status: int = _knob(500, 400, 599, "status of those failures")
    hang_rate: float = _knob(0.0, 0, 1, "share of calls that are never answered")
    garbage_rate: float = _knob(0.0, 0, 1, "share of calls answered 200 with a body that is not JSON")
    empty_rate: float = _knob(0.0, 0, 1, "share of calls answered with empty content")
    insufficient_quota: bool = _knob(
        default=False, lowest=None, highest=None, text="refuse all calls as unpaid"
    )
    seed: int = _knob(0, None, None, "what all draws start from; same seed, same faults")

    def changed(self, changes: Any) -> "Knobs":
        """Give a copy with some knobs turned; raises ApiError (400) and changes nothing if one is wrong."""
        if not isinstance(changes, dict):
            raise invalid("Knobs are changed by a JSON object.")
        known = {knob.name: knob for knob in dataclasses.fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise invalid(f"There is no knob {name}; there are {', '.join(known)}.", name)
            _check(known[name], value)
        return dataclasses.replace(self, **changes)

    def delay(self, number: int) -> float:
        """Give the seconds that call `number` takes."""
        return self.latency + self.latency_jitter * self._draw(number, "latency")

    def breaks(self, number: int) -> bool:
        """Say whether the stream of call `number` is broken off."""
        return self._draw(number, "break") < self.break_rate

    def fault(self, number: int) -> Fault | None:
        """Say what goes wrong with call `number`, if anything."""
        rates: tuple[tuple[Fault, float], ...] = (
            ("hang", self.hang_rate),
            ("limited", self.limited_rate),
            ("error", self.error_rate),
            ("garbage", self.garbage_rate),
            ("empty", self.empty_rate),
        )
        return next((fault for fault, rate in rates if self._draw(number, fault) < rate), None)

    def _draw(self, number: int, what: str) -> float:
        # A generator per draw: the outcome must not depend on the order in which calls finish.
        return random.Random(f"{self.seed}:{number}:{what}").random()  # noqa: S311 - faults, not secrets


def _check(knob: "dataclasses.Field[Any]", value: Any) -> None:
    wanted = type(knob.default)
    allowed = (int, float) if wanted is float else (wanted,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and wanted is not bool):
        raise invalid(f"{knob.name} must be a {wanted.__name__}.", knob.name)
    low, high = knob.metadata["range"]
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise invalid(f"{knob.name} must be from {low} to {'any' if high is None else high}.", knob.name)
