"""The API key of the local stack: made once, kept in the home, replaced when it no longer opens the API."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import requests

from local.failures import LocalError, last_lines
from local.files import read_or_none, write_private
from local.home import ROOT, Home

COMMAND_SECONDS = 120
REQUEST_SECONDS = 10


def migrate(environ: Mapping[str, str]) -> None:
    """Bring the database's schema up to date. Raises LocalError with what the command said."""
    _vitrine(["migrate"], environ, "The database could not be brought up to date")


def ensure_key(home: Home, url: str, environ: Mapping[str, str]) -> str:
    """A key that opens the API at this address. Raises LocalError if none can be made."""
    key = read_or_none(home.api_key)
    if key is None or not _opens(url, key):
        arguments = ["keys", "create", "--name", "local", "--unlimited", "--quiet"]
        key = _vitrine(arguments, environ, "No API key could be made").strip()
        write_private(home.api_key, key + "\n")
    return key


def _opens(url: str, key: str) -> bool:
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.get(
        f"{url}/api/v1/analyses", params={"limit": 1}, headers=headers, timeout=REQUEST_SECONDS
    )
    return answer.ok


def _vitrine(arguments: list[str], environ: Mapping[str, str], failure: str) -> str:
    """Run the installed command, through Python: a long path would not fit into its first line."""
    command = [sys.executable, str(Path(sys.executable).with_name("vitrine")), *arguments]
    try:
        outcome = subprocess.run(
            command,
            cwd=ROOT,
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"{failure}: no answer within {COMMAND_SECONDS} s.") from None
    if outcome.returncode:
        raise LocalError(f"{failure}:{last_lines(outcome.stdout + outcome.stderr)}")
    return outcome.stdout
