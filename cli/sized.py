"""Items as an estimate takes them: what a batch would be made from, with sizes in the place of images."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.batch.folder import folder_rows, grouped_rows
from cli.batch.rows import Row, csv_items, json_rows
from cli.batch.sources import demand_grouping, is_archive
from cli.failure import Failure
from cli.images import STANDARD_INPUT, look_at
from cli.local_file import LocalFile
from cli.local_image import Bad, local_image
from core import views
from core.archive import Archive, Member
from core.errors import InvalidRequest
from core.image_header import HEAD, size_of

READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".csv": csv_items,
}
SIZELESS = "it does not say how large it is; it may be no image"

Size = dict[str, int]


@dataclass(frozen=True, slots=True)
class Sized:
    """An item, or why there is none."""

    where: str
    """What people find it by."""
    item: dict[str, Any] | None
    problem: str | None = None


def sized(argument: str, by: str | None) -> Iterator[Sized]:
    """The items behind an argument, grouped or not. Raises UsageError and Failure."""
    path = Path(argument)
    read = READERS.get(path.suffix.lower())
    if path.is_dir():
        demand_grouping(by, has_rows=False)
        return _of_rows(grouped_rows(path, by) if by else folder_rows(path), path)
    if is_archive(path):
        demand_grouping(by, has_rows=False)
        return _of_archive(path, by)
    if read and path.is_file():
        demand_grouping(by, has_rows=True)
        return _of_rows(read(path), path.parent)
    return _of_image(argument, by)


def _of_rows(rows: Iterator[Row], base: Path) -> Iterator[Sized]:
    for row in rows:
        if not row.is_item:
            continue
        if row.problem:
            yield Sized(row.where, None, row.problem)
            continue
        yield _of_row(row, base)


def _of_row(row: Row, base: Path) -> Sized:
    sizes: dict[str, Size] = {}
    for name in row.images:
        try:
            sizes[name] = _size(base, name)
        except Bad as problem:
            return Sized(row.where, None, row.told(name, str(problem)))
    return Sized(row.where, json.loads(row.written(sizes)))


def _of_archive(path: Path, by: str | None) -> Iterator[Sized]:
    try:
        with path.open("rb") as file:
            archive = Archive(file)
            for member in archive.members:
                yield _of_member(archive, member, by)
    except (OSError, InvalidRequest) as problem:
        raise Failure(f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}") from problem


def _of_member(archive: Archive, member: Member, by: str | None) -> Sized:
    try:
        called = views.shown(member.name, by)._asdict() if by else {}
        size = _said(next(archive.pieces(member), b""))
    except InvalidRequest as problem:
        return Sized(member.name, None, problem.message.rstrip("."))
    return Sized(member.name, {**called, "image": size}) if size else Sized(member.name, None, SIZELESS)


def _of_image(argument: str, by: str | None) -> Iterator[Sized]:
    if by is not None:
        raise click.UsageError("--by is for a folder, a list or a ZIP archive, not for single images.")
    try:
        yield Sized(argument, {"image": _size_of(_named(argument))})
    except Bad as problem:
        yield Sized(argument, None, str(problem))


def _named(argument: str) -> LocalFile:
    """An image of the command line, maybe from a pipe. Raises Bad, and UsageError for what is not there."""
    if argument != STANDARD_INPUT and os.path.isfile(argument):  # noqa: PTH113 - which raises nothing
        return local_image(Path(), argument)
    return look_at([argument])[0]


@functools.cache
def _size(base: Path, name: str) -> Size:
    """Of an image that may be named by many rows. Raises Bad."""
    return _size_of(local_image(base, name))


def _size_of(image: LocalFile) -> Size:
    with image.open() as file:
        size = _said(file.read(HEAD))
    if size is None:
        raise Bad(SIZELESS)
    return size


def _said(head: bytes) -> Size | None:
    found = size_of(head)
    return {"width": found[0], "height": found[1]} if found else None
