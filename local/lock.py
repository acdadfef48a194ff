"""Compiles the lock files again: hashes and no addresses, for every platform."""

import subprocess
import sys
from pathlib import Path

from local.console import say
from local.failures import LocalError, last_lines
from local.home import ROOT
from local.lock_check import HEADER, PYTHON_LOCKS, dependency_hash

COMPILE = [
    "uv",
    "pip",
    "compile",
    "pyproject.toml",
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--quiet",
]
WRITTEN_BY = "# Written by: python3 dev lock"


def lock() -> int:
    """Write both lock files, the smaller one with the versions of the larger; returns 0.

    Versions that still fit stay as they are. Raises LocalError with what the compiler said.
    """
    production, development = PYTHON_LOCKS
    _compile(development, ["--extra", "local", "--extra", "dev"])
    _compile(production, ["--constraint", development])
    return 0


def _compile(name: str, options: list[str]) -> None:
    say(f"Compiling {name} ...")
    command = [sys.executable, "-m", *COMPILE, *options, "--output-file", name]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise LocalError(f"{name} could not be compiled:{last_lines(outcome.stderr)}")
    _add_header(ROOT / name)


def _add_header(path: Path) -> None:
    """Record what the file was compiled from; the compiler drops the record of the time before."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith((HEADER, WRITTEN_BY))]
    path.write_text("\n".join([WRITTEN_BY, HEADER + dependency_hash(ROOT), *lines]) + "\n")
