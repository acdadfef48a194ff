"""Images on their way to the server: several at once, the same content only once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cli.batch.client import BatchClient
from cli.connection import HOPELESS, Refused
from cli.crew import Crew
from cli.failure import Failure, Unreachable
from cli.local_file import LocalFile
from cli.multipart import StoppedSending

Outcome = str | Failure | None
"""A file id, what is wrong with this image, or nothing where it was not sent any more."""


@dataclass(slots=True)
class Uploaded:
    """What came of the uploads, by name."""

    ids: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Uploading:
    """Uploads images; after one that shows that the others would fare no better, no more of them."""

    def __init__(self, client: BatchClient) -> None:
        self._client = client
        self._hopeless: Failure | None = None
        self.uploaded = Uploaded()
        """What came of them so far, also of a run that did not end well."""

    def run(self, files: Mapping[str, LocalFile], parallel: int, advance: Callable[..., None]) -> Uploaded:
        """Upload all of them; after an interrupt, no more. Raises what stands in the way of every one."""
        done = self.uploaded
        groups = alike(files)
        crew = Crew(self._upload, [files[names[0]] for names in groups], min(parallel, len(groups)))
        for names, outcome in zip(groups, crew, strict=True):
            if isinstance(outcome, str):
                done.ids |= dict.fromkeys(names, outcome)
            elif outcome is not None:
                done.refused |= dict.fromkeys(names, outcome.message)
            for _ in names:
                advance()
        if self._hopeless:
            raise self._hopeless
        return done

    def _upload(self, file: LocalFile) -> Outcome:
        if self._client.interrupt.asked or self._hopeless:
            return None
        try:
            return self._client.upload(file, "vision")
        except StoppedSending:
            return None
        except (Unreachable, Refused) as problem:
            if isinstance(problem, Refused) and problem.status not in HOPELESS:
                return problem
            self._hopeless = problem
            return None
        except Failure as problem:
            return problem


def alike(files: Mapping[str, LocalFile]) -> list[Sequence[str]]:
    """The names in groups of one content; only files of the same size are read for it. Raises Failure."""
    sizes: dict[int, list[str]] = defaultdict(list)
    for name, file in files.items():
        sizes[file.byte_size].append(name)
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for size, names in sizes.items():
        for name in names:
            groups[size, _digest(files[name]) if len(names) > 1 else ""].append(name)
    return list(groups.values())


def _digest(file: LocalFile) -> str:
    with file.open() as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
