"""A process that prepares images for the one that started it: `python -m worker.decoder <socket> …`.

`worker.preparer` starts it. It is a program of its own so that hostile pictures meet a small process with
a memory limit, whatever the parent has loaded; so it imports nothing but `worker.imaging`,
`worker.quality` and `worker.memory`. It lives until the socket closes, which a parent's death does too.
"""

from __future__ import annotations

import logging
import pickle
import resource
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

IDLE = 2.0
"""Seconds without a picture, after which memory is given back."""
NAME = "vitrine-decoder"  # as ps and top show it; the kernel keeps 15 characters


def main(descriptor: str, memory_limit: str, deadline: str) -> None:
    """Serve the socket: `memory_limit` in bytes beyond what the idle process has, `deadline` in seconds."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        # Both reach whole process groups. The parent decides: it may have images to finish.
        signal.signal(stop, signal.SIG_IGN)
    Path("/proc/self/comm").write_text(NAME)
    # All three are how a socket says that the parent has closed it, or is dead, at whatever moment.
    ended = suppress(EOFError, ConnectionError, pickle.UnpicklingError)
    with ended, socket.socket(fileno=int(descriptor)) as parent:
        _serve(parent, int(memory_limit), float(deadline))


def _serve(parent: socket.socket, memory_limit: int, deadline: float) -> None:
    # Imported once signals are ignored: it is most of the starting time.
    from PIL import AvifImagePlugin, Image  # noqa: PLC0415

    from core.errors import ImageError  # noqa: PLC0415
    from worker import memory  # noqa: PLC0415
    from worker.imaging import prepare  # noqa: PLC0415
    from worker.quality import measure  # noqa: PLC0415

    logging.disable()  # what is wrong with an image goes into its error, not into the log a line per tag
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # one process is one core; more would take a neighbour's
    Image.preinit()  # what the first save() would load
    _limit_memory(memory_limit)
    memory.keep()
    questions = parent.makefile("rb")
    _send(parent, None)  # ready
    while True:
        # Nothing of a question is in the buffer yet, for one is sent when the last is answered.
        if not select.select([parent], [], [], IDLE)[0]:
            memory.give_back()
        content, policy = pickle.load(questions)  # noqa: S301 - written by our own parent
        # Should the parent be gone, nobody else would end a decoder that hangs.
        signal.setitimer(signal.ITIMER_REAL, 2 * deadline)
        try:
            answer: object = measure(content, policy) if policy.measured else prepare(content, policy)
        except ImageError as error:
            answer = error
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(parent, answer)
        del content, answer  # idle processes hold no pictures


def _send(parent: socket.socket, answer: object) -> None:
    parent.sendall(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


def _limit_memory(extra: int) -> None:
    """Bound the address space to `extra` bytes beyond what the libraries have mapped by now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(*sys.argv[1:])
