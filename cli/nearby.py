"""A local stack that runs nearby: what `python3 dev up` wrote down in its home."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

FOLDER = ".vitrine"
FILE = "local.json"
CODE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A running local stack and how to reach it, keys included."""

    home: Path
    addresses: dict[str, Any]


def local_stack() -> LocalStack | None:
    """The stack of --home or VITRINE_HOME, else of the nearest folder from here upwards, else of the code."""
    given = click.get_current_context().find_root().params.get("home")
    homes = iter([Path(given).expanduser()]) if given else _homes()
    return next((stack for home in homes if (stack := _read(home)) is not None), None)


def _homes() -> Iterator[Path]:
    here = Path.cwd()
    for folder in (here, *here.parents, CODE):
        yield folder / FOLDER


def _read(home: Path) -> LocalStack | None:
    """What a home has to say; nothing if it is somebody else's, who could point us to a server of theirs."""
    try:
        with (home / FILE).open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_uid not in {os.geteuid(), 0}:
                return None
            addresses = json.load(file)
    except (OSError, ValueError):
        return None
    return LocalStack(home, addresses) if isinstance(addresses, dict) and addresses.get("url") else None
