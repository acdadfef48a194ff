"""Takes the photos of the catalogue and puts them into a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from local.samples.catalogue import SHOTS, Shot
from local.samples.photo import Photo

DRAWN_AT_MOST = 1300  # pixels of the longer side; larger photos are enlarged at the end


@dataclass(frozen=True)
class Sample:
    """A photo on disk, what a shop would ask about it, and what a test may expect of the answer."""

    name: str
    path: Path
    question: str
    expected: dict[str, Any]


def draw_samples(folder: Path) -> list[Sample]:
    """Draw the samples that are not there yet into a folder, and list all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for shot in SHOTS:
        if not (folder / shot.file).exists():
            _save(shot, folder)
    return [Sample(shot.name, folder / shot.file, shot.question, shot.expected) for shot in SHOTS]


def _save(shot: Shot, folder: Path) -> None:
    """Take one shot; the file appears whole or not at all."""
    options = {key: value() if callable(value) else value for key, value in shot.options.items()}
    part = folder / f".{shot.file}"
    kind = Image.registered_extensions()[part.suffix]
    _take(shot).save(part, kind, quality=88, **options)
    part.replace(folder / shot.file)


def _take(shot: Shot) -> Image.Image:
    scale = min(1.0, DRAWN_AT_MOST / max(shot.size))
    photo = Photo(shot.backdrop((round(shot.size[0] * scale), round(shot.size[1] * scale))))
    shot.draw(photo)
    image = photo.image if scale == 1 else photo.image.resize(shot.size, Image.Resampling.BICUBIC)
    return shot.finish(image) if shot.finish else image
