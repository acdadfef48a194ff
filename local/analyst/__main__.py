"""Command line: `python -m local.analyst --port 8900`."""

import argparse
import asyncio
import dataclasses
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.analyst.desk import Desk
from local.analyst.errors import ApiError
from local.analyst.knobs import Knobs
from local.analyst.ledger import ImageShelf, Ledger
from local.analyst.server import listen, serve

DESCRIPTION = """\
An OpenAI-compatible endpoint that measures images instead of guessing what they show: colours by
name, size, sharpness, noise, brightness, contrast, background, subject box, likely text. It answers
in English, Korean or Chinese, or fills a JSON Schema, and costs nothing."""

EPILOG = """\
examples:
  python -m local.analyst --port 8900
  python -m local.analyst --port 0 --latency 1 --requests-per-minute 600
  curl -X PUT localhost:8900/control/knobs -d '{"error_rate": 0.1}'
  curl localhost:8900/control/ledger?after=0"""


def main() -> int:
    """Run until told to stop; exit code 1 if the server cannot start."""
    options = _parser().parse_args()
    try:
        knobs = Knobs().changed(
            {knob.name: getattr(options, knob.name) for knob in dataclasses.fields(Knobs)}
        )
        ledger = Ledger(options.ledger)
        sockets = listen(options.host, options.port)
    except (OSError, OverflowError, ApiError) as error:
        sys.stderr.write(f"The pixel analyst cannot start: {_reason(error, options)}.\n")
        return 1
    desk = Desk(knobs, ledger, _executor(), ImageShelf() if options.keep_images else None)
    asyncio.run(serve(sockets, desk))
    return 0


def _reason(error: Exception, options: argparse.Namespace) -> str:
    if isinstance(error, ApiError):
        return error.message.rstrip(".")
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno:
        return f"{options.host} port {options.port}: {os.strerror(error.errno)}"
    return f"{options.host} port {options.port}: {error}"


def _executor() -> ThreadPoolExecutor:
    # Decoding and filtering release the interpreter lock, so each core can measure.
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="measure")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.analyst",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 picks a free one")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="append a JSON line per finished call")
    kept = "offer received images at /control/ledger/images/<sha256> (the latest 256 MB, in memory)"
    parser.add_argument("--keep-images", action="store_true", help=kept)
    _add_knobs(parser)
    return parser


def _add_knobs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("knobs", "also at run time: GET and PUT /control/knobs")
    for knob in dataclasses.fields(Knobs):
        flag = f"--{knob.name.replace('_', '-')}"
        text = knob.metadata["help"]
        if isinstance(knob.default, bool):
            group.add_argument(flag, action="store_true", help=text)
        else:
            kind = type(knob.default)
            text += " (default: %(default)s)"
            group.add_argument(
                flag, type=kind, default=knob.default, metavar=kind.__name__.upper(), help=text
            )


if __name__ == "__main__":
    sys.exit(main())
