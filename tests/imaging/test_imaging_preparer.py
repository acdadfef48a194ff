"""The pool: answers go to who asked, and a picture can end one process but nothing else."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hostile import encoded, one_of_each, png_claiming, textured

from core.errors import ImageTooLarge, ImageUndecodable, Unavailable
from worker.imaging import Policy, prepare
from worker.preparer import Preparer

ROOT = Path(__file__).parents[2]
POLICY = Policy()
SMALL = one_of_each()["PNG"]


@pytest.fixture
def preparer():
    with Preparer(deadline=0.7) as started:
        started.warm()
        yield started


def pids(preparer):
    return [decoder._child._process.pid for decoder in preparer._decoders if decoder._child]


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def until(condition, seconds=30):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.005)


def halt(pid):
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state(pid) == "T")


def gone(pid):
    return not Path(f"/proc/{pid}").exists() or state(pid) == "Z"


def test_it_gives_what_preparing_directly_gives(preparer):
    for content in one_of_each().values():
        assert preparer.prepare(content, POLICY) == prepare(content, POLICY)


def test_errors_come_back_as_they_were_raised(preparer):
    with pytest.raises(ImageTooLarge, match="13,000 by 13,000"):
        preparer.prepare(png_claiming(13000, 13000), POLICY)
    with pytest.raises(ImageUndecodable, match="a PDF document") as caught:
        preparer.prepare(b"%PDF-1.4", POLICY)
    assert caught.value.code == "image_undecodable"


def test_twenty_threads_get_their_own_answers():
    pictures = {width: encoded(textured(width, 50, seed=width), "JPEG") for width in range(100, 300, 10)}
    with Preparer(2) as preparer, ThreadPoolExecutor(20) as threads:
        for _ in range(5):
            answers = threads.map(lambda content: preparer.prepare(content, POLICY), pictures.values())
            assert [answer.width for answer in answers] == list(pictures)
        assert len(pids(preparer)) == 2


def test_a_process_killed_over_an_image_fails_that_image_alone(preparer):
    (pid,) = pids(preparer)
    halt(pid)  # so that it is surely in the midst of the next one
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(preparer.prepare, SMALL, POLICY)
        until(preparer._free.empty)
        waiting = [threads.submit(preparer.prepare, SMALL, POLICY) for _ in range(3)]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ImageUndecodable, match="SIGKILL"):
            first.result()
        assert [one.result().width for one in waiting] == [96] * 3
    assert pids(preparer) != [pid]


def test_a_process_killed_between_images_fails_none(preparer):
    (pid,) = pids(preparer)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    assert preparer.prepare(SMALL, POLICY).width == 96


def test_an_answer_nobody_waited_for_is_not_given_to_the_next_image(preparer, monkeypatch):
    def interrupted(_child, _until):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("worker.preparer._Child._receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            preparer.prepare(SMALL, POLICY)
    other = encoded(textured(33, 22), "PNG")
    assert preparer.prepare(other, POLICY).width == 33


@pytest.mark.parametrize(
    "content", [SMALL, SMALL + bytes(5_000_000)], ids=["small", "more than the socket holds"]
)
def test_the_deadline_ends_a_process_that_hangs(preparer, content):
    (pid,) = pids(preparer)
    halt(pid)
    started = time.monotonic()
    with pytest.raises(ImageUndecodable, match=r"took too long .*0\.7 s"):
        preparer.prepare(content, POLICY)
    assert 0.6 < time.monotonic() - started < 10
    assert gone(pid)
    assert preparer.prepare(content, POLICY).width == 96


def test_waiting_for_a_turn_is_not_held_against_an_image(preparer):
    (decoder,) = preparer._decoders
    with ThreadPoolExecutor(1) as threads:
        with decoder._turn:
            answer = threads.submit(preparer.prepare, SMALL, POLICY)
            time.sleep(1)  # longer than the deadline
        assert answer.result().width == 96


def test_memory_is_bounded_and_the_process_lives_on():
    anything = Policy(max_pixels=10**10)
    with Preparer(memory_limit=100_000_000) as preparer:
        preparer.warm()
        before = pids(preparer)
        with pytest.raises(ImageTooLarge, match="more memory than"):
            preparer.prepare(png_claiming(5200, 5000, 8, 6, rows=1), anything)  # 104 MB
        assert preparer.prepare(png_claiming(8000, 8000, 8), anything).width == 1000  # 64 MB
        assert pids(preparer) == before


def test_the_largest_allowed_picture_fits_into_the_memory():
    with Preparer() as preparer:
        assert preparer.prepare(png_claiming(5000, 5000, 8, 6), POLICY).width == 1000


def test_a_process_that_is_idle_gives_back_what_pictures_took():
    def resident():
        (pid,) = pids(preparer)
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with Preparer() as preparer:
        preparer.warm()
        preparer.prepare(SMALL, POLICY)
        before = resident()
        assert preparer.prepare(png_claiming(2000, 1500, 8, 6), POLICY).original_width == 2000
        until(lambda: resident() < before + 6_000_000)  # of about 40 MB
        assert preparer.prepare(SMALL, POLICY).width == 96


def test_processes_start_with_the_first_image_and_have_a_name():
    with Preparer(2) as preparer:
        assert pids(preparer) == []
        preparer.prepare(SMALL, POLICY)
        preparer.prepare(SMALL, POLICY)
        assert len(pids(preparer)) == 1
        preparer.warm()
        assert len(pids(preparer)) == 2
        assert {Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids(preparer)} == {
            "vitrine-decoder"
        }


def test_signals_for_the_whole_group_are_left_to_the_parent(preparer):
    before = pids(preparer)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(before[0], number)
    assert preparer.prepare(SMALL, POLICY).width == 96
    assert pids(preparer) == before


def test_closing_is_quick_final_and_harmless_twice():
    preparer = Preparer(2)
    preparer.warm()
    children = pids(preparer)
    halt(children[0])
    halt(children[1])
    with ThreadPoolExecutor(5) as threads:
        running = [threads.submit(preparer.prepare, SMALL, POLICY) for _ in range(5)]
        until(preparer._free.empty)
        started = time.monotonic()
        preparer.close()
        preparer.close()
        assert time.monotonic() - started < 8  # the deadline of those that are halted is 10
        for one in running:
            with pytest.raises(Unavailable, match="shutting down"):
                one.result(timeout=2)
    assert all(gone(pid) for pid in children)
    with pytest.raises(Unavailable):
        preparer.prepare(SMALL, POLICY)


def test_a_preparer_that_never_started_closes_too():
    preparer = Preparer(3)
    preparer.close()
    assert pids(preparer) == []
    with pytest.raises(Unavailable):
        preparer.prepare(SMALL, POLICY)


def test_warming_from_many_threads_at_once_starts_each_process_once():
    with Preparer(2) as preparer:
        threads = [threading.Thread(target=preparer.warm) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(set(pids(preparer))) == 2


PARENT = """
import os, sys, time
from worker.preparer import Preparer
preparer = Preparer(2)
preparer.warm()
print(*[decoder._child._process.pid for decoder in preparer._decoders], flush=True)
time.sleep(60)
"""


def test_no_process_outlives_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: all(gone(pid) for pid in children))


@contextmanager
def bare_decoder(deadline, *flags):
    """A decoder process without a preparer around it, and our end of its socket."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            command = [sys.executable, *flags, "-m", "worker.decoder", str(theirs.fileno())]
            process = subprocess.Popen(
                [*command, "700000000", str(deadline)],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stderr=subprocess.PIPE,
                text=True,
            )
        yield process, ours
    process.communicate(timeout=30)


def test_a_process_that_hangs_without_a_parent_ends_itself():
    with bare_decoder(0.05) as (process, ours):
        ours.sendall(pickle.dumps((png_claiming(5000, 5000, 8, 6), POLICY)))  # takes longer than 0.1 s
        assert process.wait(timeout=30) == -signal.SIGALRM


def test_a_process_in_the_midst_of_an_image_ends_quietly_when_its_parent_is_gone():
    with bare_decoder(10) as (process, ours):
        ours.sendall(pickle.dumps((png_claiming(5000, 5000, 8, 6), POLICY)))
        ours.close()
        assert process.communicate(timeout=30)[1] == ""
        assert process.returncode == 0


def test_a_process_loads_what_it_needs_and_no_more():
    with bare_decoder(5, "-X", "importtime") as (process, ours):
        ours.sendall(pickle.dumps((one_of_each()["AVIF"], POLICY)))
        ours.shutdown(socket.SHUT_WR)  # it answers, and ends
        with ours.makefile("rb") as answers:
            assert b"image/jpeg" in answers.read()
        imports = process.communicate(timeout=30)[1]
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in imports.splitlines() if "|" in line}
    assert {"PIL", "pybase64", "core", "worker"} <= loaded
    assert not loaded & {"flask", "openai", "celery", "sqlalchemy", "redis", "requests", "numpy", "structlog"}
    assert "multiprocessing" not in loaded
