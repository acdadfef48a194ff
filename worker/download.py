"""Fetches one image from its URL: a few redirects, each checked, within one time and one size.

What the host says is judged here: what may be better next time is told from what stands.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from urllib.parse import unquote, urljoin, urlsplit

import structlog

from config import Settings
from core.errors import ImageUnfetchable, Unavailable
from core.media import HEAD, ImageKind, allowed_kinds, recognise
from core.services.fetching import Earlier, Fetched
from core.services.files import Upload
from worker.limits import retry_after
from worker.outbound import Answer, Outbound
from worker.outbound_errors import OutboundError, Why
from worker.places import Full, Places

MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NOT_MODIFIED = 304
PASSING = frozenset({408, 425, 429})
"""Refusals that are over soon; so are all failures of the server."""
IN_MEMORY = 256 * 1024
"""Bytes of an image that stay in memory; the rest goes to disk."""
VALIDATOR = re.compile(r"[\x20-\x7e]{1,500}")
"""An ETag or a date that we keep; anything else counts as not said."""

log = structlog.get_logger(__name__)


class NotFetched(Exception):
    """No image came of a URL; `again` where another try makes sense, `counts` where it uses up a try."""

    def __init__(
        self, message: str, *, again: bool = False, counts: bool = True, wait: float | None = None
    ) -> None:
        super().__init__(message)
        self.error = ImageUnfetchable(message, retry_after=wait)
        self.again = again
        self.counts = counts


class Downloads:
    """Fetches images on behalf of many threads."""

    def __init__(self, settings: Settings, outbound: Outbound, places: Places) -> None:
        self._is_on = settings.url_images
        self._seconds = settings.url_timeout
        self._most = settings.max_file_size
        self._kinds = allowed_kinds(settings.allowed_extensions)
        self._outbound = outbound
        self._places = places

    def get(self, url: str) -> Fetched:
        """The image that is there. Raises NotFetched, Unavailable."""
        with self._asked(url, {}) as (answer, here):
            return self._judged(answer, here)

    def get_if_changed(self, url: str, known: Earlier) -> Fetched | None:
        """The image, or None where it is still the one that is known. Raises NotFetched, Unavailable."""
        if not known.etag and not known.last_modified:
            return self.get(url)
        with self._asked(url, _conditions(known)) as (answer, here):
            return None if answer.status == NOT_MODIFIED else self._judged(answer, here)

    @contextmanager
    def _asked(self, url: str, headers: Mapping[str, str]) -> Iterator[tuple[Answer, str]]:
        """The answer at the end of all redirects, and where it was found."""
        end, here = time.monotonic() + self._seconds, url
        with _told(url):
            if not self._is_on:
                raise NotFetched("Images are not fetched from addresses here.")
            for _ in range(MOST_REDIRECTS + 1):
                with self._hop(here, headers, end - time.monotonic()) as answer:
                    if answer.status not in REDIRECTS:
                        yield answer, here
                        return
                    here = _location(answer, here)
            raise OutboundError(Why.TOO_MANY_REDIRECTS)

    @contextmanager
    def _hop(self, url: str, headers: Mapping[str, str], seconds: float) -> Iterator[Answer]:
        if seconds <= 0:
            raise OutboundError(Why.TIMED_OUT)
        asked = {"Accept": "image/*", **headers}
        with (
            self._places.at(self._outbound.target(url).host),
            self._outbound.exchange("GET", url, headers=asked, seconds=seconds) as answer,
        ):
            yield answer

    def _judged(self, answer: Answer, url: str) -> Fetched:
        if answer.status in PASSING or answer.status >= 500:
            message, wait = f"The host answered with status {answer.status}.", retry_after(answer.headers)
            raise NotFetched(message, again=True, wait=wait)
        if answer.status != 200:
            raise NotFetched(f"The host answered with status {answer.status}.")
        if (answer.headers.get("content-encoding") or "identity").lower() != "identity":
            raise NotFetched("The host sent it compressed, though it was asked not to.")
        return self._received(answer, url)

    def _received(self, answer: Answer, url: str) -> Fetched:
        content = cast("BinaryIO", SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - who gets it closes it
        digest, size = hashlib.sha256(), 0
        self._bound(_length(answer))
        for piece in answer.pieces():
            size += len(piece)
            self._bound(size)
            digest.update(piece)
            with _room():
                content.write(piece)
        with _room():
            content.seek(0)
        kind = self._kind(content.read(HEAD))
        upload = Upload(content, size, digest.hexdigest(), _name(url))
        return Fetched(upload, kind.media_type, _said(answer, "etag"), _said(answer, "last-modified"))

    def _bound(self, size: int) -> None:
        if size > self._most:
            raise OutboundError(Why.TOO_LARGE, f"It has more than {self._most:,} bytes.")

    def _kind(self, head: bytes) -> ImageKind:
        looks = recognise(head)
        if isinstance(looks, ImageKind) and looks in self._kinds:
            return looks
        what = f"a {looks.pillow} image" if isinstance(looks, ImageKind) else looks
        taken = ", ".join(kind.pillow for kind in self._kinds)
        raise NotFetched(f"It is {what}; images that are taken are: {taken}.")


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Say what went wrong with the host that the client named; the rest of a URL may be a secret."""
    host = urlsplit(url).hostname
    try:
        yield
    except Full as full:
        message = f"{host} is asked for as many images as it may be just now."
        raise NotFetched(message, again=True, counts=False) from full
    except OutboundError as error:
        raise NotFetched(_sentence(host, error.message), again=error.again) from error
    except NotFetched as failure:
        failure.error.message = _sentence(host, failure.error.message)
        raise


def _sentence(host: str | None, message: str) -> str:
    return f"The image at {host} could not be fetched: {message[0].lower()}{message[1:]}"


def _conditions(known: Earlier) -> dict[str, str]:
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.last_modified or ""}


def _location(answer: Answer, here: str) -> str:
    """Where a redirect leads."""
    try:
        # Headers are read as Latin-1, and many hosts send UTF-8.
        if location := answer.headers.get("location", "").encode("latin-1").decode(errors="replace"):
            return urljoin(here, location)
    except ValueError:
        log.info("redirect_not_understood")
    raise NotFetched(f"The host answered with status {answer.status}, and with no address to go on to.")


def _length(answer: Answer) -> int:
    """How many bytes the host means to send; 0 where it does not say."""
    text = answer.headers.get("content-length", "")
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def _said(answer: Answer, name: str) -> str | None:
    value = answer.headers.get(name, "")
    return value if VALIDATOR.fullmatch(value) else None


def _name(url: str) -> str:
    """What the last part of the path calls it."""
    return unquote(urlsplit(url).path.rpartition("/")[2], errors="replace")


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("There is no room for this image just now.") from error
