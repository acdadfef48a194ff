"""Prepares images in a few processes that can be killed: no picture may take the worker down with it.

Each process is checked out by one call at a time, so there is no scheduler, no thread and no polling: see
docs/decisions/0003-decoder-processes.md for why, with figures.
"""

from __future__ import annotations

import pickle
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from types import TracebackType
from typing import Any, Self

from core import metrics
from core.errors import ImageError, ImageUndecodable, Unavailable
from worker.imaging import Policy, Prepared

MEMORY_LIMIT = 700 * 1024 * 1024
"""Bytes. Decoding 25 megapixels takes up to 390 MB (WebP), and half as much again to flatten them."""

Question = tuple[bytes, Policy]
"""An image, and what to make of it."""

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0  # about 0.2 s when the machine is idle


class Preparer:
    """A pool of decoder processes. Start it after any fork; use it from as many threads as you like.

    processes: how many images are prepared at once; callers beyond that wait, as long as it takes.
    memory_limit: bytes each process may use for one image, on top of what it needs when idle.
    deadline: seconds for one image, from when a process takes it.
    """

    def __init__(self, processes: int = 1, memory_limit: int = MEMORY_LIMIT, deadline: float = 10.0) -> None:
        self._decoders = [_Decoder(memory_limit, deadline) for _ in range(processes)]
        # Last in, first out: a light load keeps to one warm process.
        self._free: LifoQueue[_Decoder] = LifoQueue()
        for decoder in self._decoders:
            self._free.put(decoder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self, content: bytes, policy: Policy) -> Prepared:
        """Do `worker.imaging.prepare` in another process; blocks until it is done.

        Raises what that raises, and ImageUndecodable when the image killed its process or took too long;
        Unavailable when this preparer is closed or no process can be started.
        """
        answer = self._ask(content, policy)
        if not isinstance(answer, Prepared):
            raise TypeError(f"A decoder process answered with {type(answer).__name__}.")
        return answer

    def measure(self, content: bytes, policy: Policy) -> dict[str, Any]:
        """Do `worker.quality.measure` of the prepared image in another process, as `prepare` does."""
        answer = self._ask(content, replace(policy, measured=True))
        if not isinstance(answer, dict):
            raise TypeError(f"A decoder process answered with {type(answer).__name__}.")
        return answer

    def _ask(self, content: bytes, policy: Policy) -> object:
        decoder = self._free.get()
        try:
            with metrics.PREPARATION_DURATION.time():
                return decoder.ask((content, policy))
        finally:
            self._free.put(decoder)

    def warm(self) -> None:
        """Start every process now, rather than with the first images; returns when all are ready."""
        for decoder in self._decoders:
            decoder.start()
        for decoder in self._decoders:
            decoder.warm()

    def close(self) -> None:
        """End the processes. Calls still running or waiting raise Unavailable. Closing twice is harmless."""
        for decoder in self._decoders:
            decoder.close()


class _Decoder:
    """One place in the pool, and whichever process fills it: a new one after each that failed.

    `_turn` is held by whoever talks to the process; `_change` only to put a process in or out, so that
    close() and warm() need not wait for an image.
    """

    def __init__(self, memory_limit: int, deadline: float) -> None:
        self._memory_limit = memory_limit
        self._deadline = deadline
        self._turn = Lock()
        self._change = Lock()
        self._child: _Child | None = None
        self._closed = False

    def start(self) -> _Child:
        """The process, started if there is none alive; it may not be ready yet."""
        with self._change:
            if self._closed:
                raise Unavailable("Image preparation is shutting down: try again shortly.")
            # One that died between images (the kernel was short of memory) costs no image.
            if self._child and not self._child.is_alive():
                self._child.end()
                self._child = None
            self._child = self._child or _Child(self._memory_limit, self._deadline)
            return self._child

    def warm(self) -> None:
        with self._turn:
            self._ready()

    def ask(self, question: Question) -> object:
        with self._turn:
            child = self._ready()
            try:
                answer = child.ask(question, self._deadline)
            except TimeoutError:
                self._replace(child)
                raise ImageUndecodable(
                    f"The image took too long to decode (over {self._deadline:g} s): save it again as JPEG."
                ) from None
            except (OSError, EOFError, pickle.UnpicklingError):
                self._replace(child)
                raise ImageUndecodable(
                    f"The image ended the process that decoded it ({child.how_it_ended()}): "
                    f"save it again as JPEG or PNG."
                ) from None
            except BaseException:
                # Broken off midway, its answer would be taken for that to the next image.
                self._drop(child)
                raise
        if isinstance(answer, ImageError):
            raise answer
        return answer

    def close(self) -> None:
        with self._change:
            self._closed = True
            if self._child:
                self._child.kill()  # whoever is talking to it notices, and gives up its turn
        with self._turn:
            if self._child:
                self._child.end()

    def _ready(self) -> _Child:
        child = self.start()
        try:
            child.wait_until_ready()
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._drop(child)
            raise Unavailable("The image decoder did not start: see the worker's log.") from error
        return child

    def _replace(self, child: _Child) -> None:
        """End a process that failed and start the next, which gets ready while nobody waits for it.

        Raises Unavailable when it was close() that ended it: that is no fault of the image.
        """
        self._drop(child)
        with suppress(OSError):  # the next call tries again, and reports it
            self.start()

    def _drop(self, child: _Child) -> None:
        with self._change:
            child.end()
            if self._child is child:
                self._child = None


class _Child:
    """A running `worker.decoder` and the socket to it."""

    def __init__(self, memory_limit: int, deadline: float) -> None:
        self._socket, theirs = socket.socketpair()
        self._answers = self._socket.makefile("rb")
        self._is_ready = False
        with theirs:
            # A program of its own rather than multiprocessing's spawn, which would import the parent's
            # __main__ (celery, say) into it. Its own group: Ctrl-C is for the parent to handle.
            self._process = subprocess.Popen(  # noqa: S603 - our own module, with numbers as arguments
                [
                    *(sys.executable, "-W", "ignore", "-m", "worker.decoder"),
                    *(str(theirs.fileno()), str(memory_limit), str(deadline)),
                ],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        if not self._is_ready:
            self._receive(time.monotonic() + _START_SECONDS)
            self._is_ready = True

    def ask(self, question: Question, deadline: float) -> Any:
        """The process's answer. TimeoutError after `deadline` seconds; EOFError or OSError if it died."""
        until = time.monotonic() + deadline
        self._socket.settimeout(deadline)
        self._socket.sendall(pickle.dumps(question, protocol=pickle.HIGHEST_PROTOCOL))
        return self._receive(until)

    def _receive(self, until: float) -> Any:
        # Per read, and so in total: an answer is written at once, when it is finished.
        self._socket.settimeout(max(until - time.monotonic(), 0.001))
        return pickle.load(self._answers)  # noqa: S301 - from our own program, which runs as this user

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self.kill()
        self._process.wait()
        self._answers.close()
        self._socket.close()

    def how_it_ended(self) -> str:
        """Of an ended process, in words: "SIGSEGV" or "exit code 1"."""
        code = self._process.returncode
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
