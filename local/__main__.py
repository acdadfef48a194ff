"""One machine without Docker: what `python3 dev COMMAND` runs inside the virtual environment."""

import argparse
import sys
from pkgutil import resolve_name

from local.failures import LocalError

COMMANDS = {"up": "local.terminal:up", "check": "local.check:check", "lock": "local.lock:lock"}
SIDE_BY_SIDE = ["--numprocesses", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
"""All tests but the slow ones, by three processes with servers of their own: many tests wait."""


def main() -> int:
    """Run a command; returns the exit status."""
    arguments, rest = parser().parse_known_args()
    if rest and arguments.command != "test":
        parser().error(f"unknown argument: {rest[0]}")
    try:
        return run(arguments, rest)
    except LocalError as problem:
        sys.exit(str(problem))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python3 dev", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything in the foreground")
    demo = commands.add_parser("demo", help="start everything and put the sample photos through it")
    demo.add_argument("--exit", action="store_true", help="stop after the table of answers")
    commands.add_parser("test", help="run the tests; arguments go to pytest", add_help=False)
    commands.add_parser("check", help="lint, format, types, imports and lock files")
    commands.add_parser("lock", help="compile the lock files again from pyproject.toml")
    return made


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Import only what the command needs: the checks must run while the application is broken."""
    if arguments.command == "test":
        return int(resolve_name("pytest:main")(rest or SIDE_BY_SIDE))
    if arguments.command == "demo":
        return int(resolve_name("local.demo:demo")(leave=arguments.exit))
    return int(resolve_name(COMMANDS[arguments.command])())


if __name__ == "__main__":
    sys.exit(main())
