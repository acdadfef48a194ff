"""Items as an estimate takes them: what a batch would be made from, with sizes in the place of images."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.batch.folder import folder_rows, grouped_rows
from cli.batch.rows import Row, csv_items, json_rows
from cli.batch.sources import demand_grouping, is_archive
from cli.failure import Failure
from cli.images import look_at
from cli.local_file import LocalFile
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
        try:
            sizes = {name: _size(base / name) for name in row.images}
        except Failure as problem:
            yield Sized(row.where, None, problem.message)
        else:
            yield Sized(row.where, json.loads(row.written(sizes)))


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
    [image] = look_at([argument])
    yield Sized(argument, {"image": _size(image.source)})


@functools.cache
def _size(path: Path) -> Size:
    """Of an image on this machine, which may be named by many rows. Raises Failure."""
    with LocalFile(str(path), path.name, 0, path).open() as file:
        size = _said(file.read(HEAD))
    if size is None:
        raise Failure(f"{path}: {SIZELESS}.")
    return size


def _said(head: bytes) -> Size | None:
    found = size_of(head)
    return {"width": found[0], "height": found[1]} if found else None
