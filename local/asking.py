"""Asks about photos over the public HTTP API, as any shop's back end would."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import requests

from local.samples import Sample

THREADS = 4
DEADLINE_SECONDS = 120.0
POLL_SECONDS = 0.2
REQUEST_SECONDS = 30.0
FINAL = {"completed", "failed", "cancelled", "expired"}


@dataclass(frozen=True)
class Outcome:
    """What became of one photo: its analysis as the API last showed it, or why there is none."""

    sample: Sample
    analysis: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return not self.problem


@dataclass(frozen=True)
class Desk:
    """One running Vitrine and a key to it."""

    url: str
    api_key: str

    def ask_all(self, samples: Sequence[Sample]) -> Iterator[Outcome]:
        """The outcome of every sample, in the order in which they come."""
        pool = ThreadPoolExecutor(THREADS)
        try:
            waiting = [pool.submit(self.ask, sample) for sample in samples]
            for done in as_completed(waiting):
                yield done.result()
        finally:
            # An interrupt does not wait for answers: the threads end with the stack they ask.
            pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, sample: Sample) -> Outcome:
        """Submit one photo and poll until its analysis has ended."""
        try:
            analysis = self._follow(self._submit(sample))
        except requests.RequestException as error:
            return Outcome(sample, problem=_why(error))
        if analysis["status"] == "completed":
            return Outcome(sample, analysis)
        return Outcome(
            sample, analysis, f"{analysis['status']}: {analysis.get('error') or 'no reason given'}"
        )

    def _submit(self, sample: Sample) -> dict[str, Any]:
        with sample.path.open("rb") as photo:
            form = {"question": sample.question, "preset": "product"}
            return self._request("POST", "", data=form, files={"file": (sample.path.name, photo)})

    def _follow(self, analysis: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while analysis["status"] not in FINAL:
            if time.monotonic() > deadline:
                raise requests.Timeout(f"no answer within {DEADLINE_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
            analysis = self._request("GET", f"/{analysis['id']}")
        return analysis

    def _request(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        address = f"{self.url}/api/v1/analyses{path}"
        answer = requests.request(method, address, headers=headers, timeout=REQUEST_SECONDS, **content)
        answer.raise_for_status()
        return dict(answer.json())


def _why(error: requests.RequestException) -> str:
    """What the API said, or else what went wrong on the way."""
    if error.response is not None:
        try:
            return str(error.response.json()["error"])
        except (ValueError, KeyError, TypeError):
            return f"HTTP {error.response.status_code}"
    return str(error) or type(error).__name__
