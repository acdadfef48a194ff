"""What an endpoint's answer says about its limits, in its status and headers.

Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers; Retry-After is RFC 9110,
10.2.3. What makes no sense counts as not said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 3_600.0
"""Seconds; an endpoint that asks for more is looked at again after this."""
STOPPING = frozenset({429, 503, 529})
"""Statuses whose Retry-After is meant for everybody who uses the credential."""
NUMBER = r"\d{1,12}(?:\.\d{1,12})?"
DURATION = re.compile(rf"(?:({NUMBER})d)?(?:({NUMBER})h)?(?:({NUMBER})m)?(?:({NUMBER})s)?(?:({NUMBER})ms)?")
UNITS = (86_400, 3_600, 60, 1, 0.001)


@dataclass(frozen=True, slots=True)
class Limit:
    """One kind of limit, as one answer tells it; None is what it does not say."""

    per_minute: int | None = None
    remaining: int | None = None
    reset: float | None = None
    """Seconds until nothing of the limit is used any more."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What one call told about the endpoint; a status of None is that no answer came."""

    status: int | None = None
    requests: Limit = Limit()
    tokens: Limit = Limit()
    retry_after: float | None = None
    has_quota: bool = True

    @property
    def failed(self) -> bool:
        """Whether the endpoint is unwell: a refusal, or a limit, is the answer of one that is well."""
        return self.status is None or self.status >= 500

    @property
    def limited(self) -> bool:
        """Whether everybody should stop for a while."""
        if not self.has_quota or self.status not in STOPPING:
            return False
        return self.status == 429 or self.retry_after is not None


def read(status: int, headers: Mapping[str, str], *, has_quota: bool = True) -> Signals:
    """Signals of an answer; names of headers in lower case."""
    return Signals(
        status, _limit(headers, "requests"), _limit(headers, "tokens"), retry_after(headers), has_quota
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, at most LONGEST_WAIT, or None."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _seconds(headers.get(name), unit)
        if seconds is not None:
            return seconds
    return _until(headers.get("retry-after"), headers.get("date"))


def duration(text: str | None) -> float | None:
    """Seconds of `20ms`, `1.5s`, `6m0s`, `1h2m3s`, or of a plain number; None for anything else."""
    text = (text or "").strip()
    match = DURATION.fullmatch(text)
    if text and match:
        return sum(float(part) * unit for part, unit in zip(match.groups(), UNITS, strict=True) if part)
    return float(text) if re.fullmatch(NUMBER, text) else None


def _limit(headers: Mapping[str, str], kind: str) -> Limit:
    return Limit(
        _count(headers.get(f"x-ratelimit-limit-{kind}")) or None,
        _count(headers.get(f"x-ratelimit-remaining-{kind}")),
        duration(headers.get(f"x-ratelimit-reset-{kind}")),
    )


def _count(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,12}", text.strip(), re.ASCII) else None


def _seconds(text: str | None, unit: float) -> float | None:
    try:
        seconds = float(text or "") * unit
    except ValueError:
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_WAIT)


def _until(text: str | None, sent: str | None) -> float | None:
    """Seconds until an HTTP date, by the clock of who sent it where it tells."""
    end, now = _date(text), _date(sent) or datetime.now(UTC)
    return None if end is None else min(max((end - now).total_seconds(), 0.0), LONGEST_WAIT)


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)
