"""Checks the lock files: level with pyproject.toml, hashed, and without any address of where from."""

import hashlib
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYTHON_LOCKS = ("requirements.lock", "requirements-dev.lock")
LOCK_NAME = re.compile(r"(^|[-.])(lock|lock\.(json|ya?ml)|shrinkwrap\.json)$")
HEADER = "# Dependencies of pyproject.toml: sha256:"
ADDRESS = re.compile(r"\b(https?|ftp|file|git\+\w+)://|^\s*(-i|-f|--(extra-)?index-url|--find-links)\b")
FIND_LINKS = re.compile(r"find-links")
MAY_SAY_FIND_LINKS = ("pyproject.toml", "uv.toml", "pip.conf")


def dependency_hash(root: Path) -> str:
    """A digest of everything in pyproject.toml that a lock file depends on."""
    document = tomllib.loads((root / "pyproject.toml").read_text())
    project = document["project"]
    wanted = [project.get(name) for name in ("requires-python", "dependencies", "optional-dependencies")]
    text = json.dumps([*wanted, document["build-system"]["requires"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def problems(root: Path) -> list[str]:
    """Every complaint as a sentence; none if all is well."""
    found = [*_outdated(root)]
    for path in _project_files(root):
        if LOCK_NAME.search(path.name):
            found += _addresses(path, root)
        elif path.name in MAY_SAY_FIND_LINKS:
            found += _lines(path, FIND_LINKS, "names a place to find packages at", root)
    return found


def _outdated(root: Path) -> Iterator[str]:
    wanted = HEADER + dependency_hash(root)
    for name in PYTHON_LOCKS:
        lines = (root / name).read_text().splitlines() if (root / name).exists() else []
        if wanted not in lines[:3]:
            yield f"{name} is older than pyproject.toml: run python3 dev lock"
        elif not any("--hash=sha256:" in line for line in lines):
            yield f"{name} holds no hashes: run python3 dev lock"


def _addresses(path: Path, root: Path) -> Iterator[str]:
    yield from _lines(path, ADDRESS, "holds an address", root)


def _lines(path: Path, pattern: re.Pattern[str], complaint: str, root: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if pattern.search(line):
            yield f"{path.relative_to(root)}:{number} {complaint}"


def _project_files(root: Path) -> list[Path]:
    """The files git knows or would add; everything at the top without git."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return [path for path in root.iterdir() if path.is_file()]
    paths = [root / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]
