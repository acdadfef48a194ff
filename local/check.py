"""Everything that can be checked without running Vitrine."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from local import lock_check
from local.console import say
from local.failures import last_lines
from local.home import ROOT

SHOWN_LINES = 60
TOOLS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports"],
}


def check() -> int:
    """Run all checks, also after one that failed; returns 0 if all passed, else 1."""
    passed = [_run_tool(name, command) for name, command in TOOLS.items()]
    passed.append(_report("locks", "\n".join(lock_check.problems(ROOT))))
    return 0 if all(passed) else 1


def _run_tool(name: str, command: list[str]) -> bool:
    tool, *arguments = command
    path = Path(sysconfig.get_path("scripts")) / tool
    # Through Python where the tool is a script: a long path would not fit into its first line.
    start = [str(path)] if tool == "ruff" else [sys.executable, str(path)]
    outcome = subprocess.run([*start, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    text = outcome.stdout + outcome.stderr
    return _report(name, (text or "failed without a word") if outcome.returncode else "")


def _report(name: str, complaint: str) -> bool:
    """Print one line for what passed, all that was said about what did not."""
    verdict = "failed" if complaint else "ok"
    say(f"{name:<8} {verdict}{last_lines(complaint, SHOWN_LINES)}")
    return not complaint
