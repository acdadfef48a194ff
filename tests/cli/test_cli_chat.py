"""vitrine chat: through a pipe, and on a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from endpoint import BIN
from waiting import PATIENCE

from cli.interrupt import SLICE

LOST_AFTER = 20
"""Seconds after which a Ctrl-C that did nothing was lost."""


@pytest.fixture
def mug(vitrine, photo):
    return vitrine.write("mug.jpg", photo("red"))


@pytest.fixture
def said(quick, session):
    """The messages of the user's newest session, and its id."""

    def read():
        made = session.get(f"{quick.url}/api/sessions?limit=1", timeout=30).json()["data"][0]["id"]
        path = f"{quick.url}/api/sessions/{made}/messages?limit=100"
        return made, session.get(path, timeout=30).json()["data"]

    return read


def test_what_comes_through_a_pipe_is_one_question_and_only_its_answer_comes_out(vitrine, mug, said):
    done = vitrine("chat", "--image", mug, "--system", "Brief.", given="무슨 색이에요?\n".encode())
    _, [asked, answered] = said()
    assert (done.returncode, done.stdout) == (0, answered["content"] + "\n")
    assert asked["content"] == "무슨 색이에요?"
    assert asked["images"][0]["file_name"] == "mug.jpg"
    assert re.match(r"\([\d,]+ tokens, free, \d+\.\d\d s\)\n", done.stderr)


def test_a_session_goes_on_where_it_was_by_what_is_said_at_the_end(vitrine, said):
    first = vitrine("chat", given=b"One?")
    made, _ = said()
    assert first.stderr.endswith(f"To go on: vitrine chat --session {made}\n")
    assert vitrine("chat", "--session", made, given=b"Two?").returncode == 0
    assert [row["role"] for row in said()[1]] == ["user", "assistant"] * 2


def test_options_reach_the_server(vitrine, said):
    done = vitrine("chat", "--max-tokens", "1", "--model", "pixel-analyst", given=b"Say a lot.")
    assert done.returncode == 0, done.stderr
    assert said()[1][1]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("arguments", "given", "status", "words"),
    [
        (("--session", "sess_x", "--system", "?"), b"?", 2, "leave --system out"),
        (("--image", "nope.jpg"), b"?", 2, "There is no file nope.jpg"),
        (("--image", "-"), b"?", 2, "name the photo's file"),
        ((), b" \n", 2, "is empty"),
        (("--session", "sess_01kaj3c0dpw8w0z3f6s9q2xk7v"), b"?", 1, "There is no session"),
        (("--session", "sess_zzz"), b"?", 1, "There is no session 'sess_zzz'"),
        (("--session", "?limit=1"), b"?", 1, "There is no session '?limit=1'"),
        (("--session", "../sessions"), b"?", 1, "There is nothing here by that name"),
        (("--session", ""), b"?", 1, "There is nothing by the name ''"),
        (("--model", "nobodys"), b"?", 1, "not served here"),
    ],
)
def test_what_cannot_be_is_one_sentence(vitrine, arguments, given, status, words):
    done = vitrine("chat", *arguments, given=given)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_conversation_that_never_began_leaves_no_session_behind(vitrine, quick, session):
    wrong = vitrine.write("text.jpg", b"This is no picture. " * 20)
    attempts = [
        vitrine("chat", "--image", wrong, given=b"?"),
        vitrine("chat", "--model", "nobodys", given=b"?"),
        vitrine("chat", given=b" "),
    ]
    terminal = Terminal(vitrine, "chat")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert [attempt.returncode for attempt in attempts] == [1, 1, 2]
    assert session.get(f"{quick.url}/api/sessions", timeout=30).json()["data"] == []


def test_an_answer_that_fails_is_one_sentence(vitrine, quick):
    quick.analyst.turn(insufficient_quota=True)
    done = vitrine("chat", given=b"?")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vitrine: The endpoint's account has no quota left")
    assert "To go on: vitrine chat --session sess_" in done.stderr


def test_ctrl_c_stops_the_answer(vitrine, quick, said):
    quick.analyst.turn(latency=20)
    process = vitrine.start("chat", stdin=subprocess.PIPE)
    process.stdin.write(b"?")
    process.stdin.close()
    process.stdin = None
    done = vitrine.interrupt(process, lambda: asking(quick))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.startswith("Stopped.")
    quick.wait_for(lambda: [row["status"] for row in said()[1]] == ["cancelled"] * 2)


def asking(live):
    return live.analyst.ledger()["count"]


def event(number, name, **data):
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def test_an_answer_that_breaks_off_goes_on_behind_what_was_told(scripted, scripted_user):
    stream = {"Content-Type": "text/event-stream"}
    scripted.say({"id": "sess_01kaj3c0dpw8w0z3f6s9q2xk7v"}, status=201)
    first = event(1, "status", id="an_1", status="asking") + event(2, "token", text="A red ")
    bill = {"usage": {"total_tokens": 12}, "cost": {"total_cost": 0.5, "currency": "USD"}}
    rest = event(3, "token", text="머그컵.") + event(4, "result", **bill) + event(5, "done")
    cut = rest[: rest.index(b"text") + 2]  # within an event
    scripted.answers += [(200, first + cut, stream), (200, rest, stream)]
    done = scripted_user("chat", given=b"?")
    assert (done.returncode, done.stdout) == (0, "A red 머그컵.\n")
    assert "$0.5000" in done.stderr
    [_, (_, _, before), (_, _, after)] = scripted.asked
    assert after["Last-Event-ID"] == "2"
    assert "Last-Event-ID" not in before
    assert before["Idempotency-Key"] == after["Idempotency-Key"]


def test_a_session_that_answers_another_message_is_waited_for(scripted, scripted_user, refusal):
    scripted.say({"id": "sess_01kaj3c0dpw8w0z3f6s9q2xk7v"})
    scripted.say(refusal("conflict", "This session is answering."), status=409, Retry_After="1")
    told = event(1, "token", text="Red.") + event(2, "result") + event(3, "done")
    scripted.answers.append((200, told, {"Content-Type": "text/event-stream"}))
    done = scripted_user("chat", "--session", "sess_01kaj3c0dpw8w0z3f6s9q2xk7v", given=b"?")
    assert (done.returncode, done.stdout) == (0, "Red.\n"), done.stderr
    assert "The server is busy (409); trying again in 1 s." in done.stderr
    [_, (_, _, first), (_, _, second)] = scripted.asked
    assert first["Idempotency-Key"] == second["Idempotency-Key"]


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, vitrine, *arguments):
        self._master, slave = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [BIN / "vitrine", *arguments],
            cwd=vitrine.folder,
            env={**vitrine.environment, "TERM": "dumb", "COLUMNS": "200"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def wait_for(self, words, count=1, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while self.shown.count(words) < count:
            assert time.monotonic() < end, f"{words!r} is not in {self.shown!r}"
            if select.select([self._master], [], [], SLICE)[0]:
                self._read()

    def interrupt(self, words, count=1):
        """Press Ctrl-C, and again where it was lost: readline hears none while it draws its prompt."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.wait_for(words, count, LOST_AFTER)
        except AssertionError:
            self.process.send_signal(signal.SIGINT)
            self.wait_for(words, count)

    def type(self, text):
        os.write(self._master, text.encode())

    def end(self):
        status = self.process.wait(PATIENCE)
        while select.select([self._master], [], [], 0)[0] and self._read():
            pass
        os.close(self._master)
        return status

    def _read(self):
        try:
            found = os.read(self._master, 65_536)
        except OSError:  # nobody is at the other end any more
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)


def test_on_a_terminal_one_talks_until_the_end_of_the_input(vitrine, mug, said):
    terminal = Terminal(vitrine, "chat", "--image", mug)
    terminal.wait_for("> ")
    terminal.type("What colour is it?\n")
    terminal.wait_for("tokens, free")
    terminal.type("/image nope.jpg\n")
    terminal.wait_for("There is no file nope.jpg")
    terminal.type(f"/image {mug}\n")
    terminal.wait_for("1 photo will go with your next message")
    terminal.type("And this?\n")
    terminal.wait_for("tokens, free", 2)
    terminal.wait_for("> ", 5)
    terminal.type("\x04")
    terminal.wait_for("To go on: vitrine chat --session")
    assert terminal.end() == 0
    made, rows = said()
    assert f"2 answers, free. To go on: vitrine chat --session {made}" in terminal.shown
    assert [len(row["images"]) for row in rows] == [1, 0, 1, 0]
    assert "red" in terminal.shown


def test_on_a_terminal_ctrl_c_stops_the_answer_and_the_talk_goes_on(vitrine, quick, said):
    quick.analyst.turn(latency=20)
    terminal = Terminal(vitrine, "chat")
    terminal.wait_for("> ")
    terminal.type("Slow?\n")
    quick.wait_for(lambda: asking(quick))
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("Stopped.")
    quick.analyst.turn(latency=0)
    terminal.type("Quick?\n")
    terminal.wait_for("tokens, free")
    terminal.wait_for("> ", 3)
    terminal.interrupt("Ctrl-C again leaves", 2)
    terminal.wait_for("> ", 4)
    terminal.interrupt("To go on: vitrine chat --session")
    assert terminal.end() == 0
    assert [row["status"] for row in said()[1]] == ["cancelled"] * 2 + ["completed"] * 2


def test_on_a_terminal_the_ctrl_c_after_the_one_that_stopped_an_answer_leaves(vitrine, quick, said):
    quick.analyst.turn(latency=20)
    terminal = Terminal(vitrine, "chat")
    terminal.wait_for("> ")
    terminal.type("Slow?\n")
    quick.wait_for(lambda: asking(quick))
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("Stopped.")
    terminal.wait_for("> ", 2)
    terminal.interrupt("To go on: vitrine chat --session")
    assert terminal.end() == 0
    assert terminal.shown.count("Ctrl-C again leaves") == 1


def test_on_a_terminal_what_is_no_command_is_not_asked_either(vitrine, quick, said):
    terminal = Terminal(vitrine, "chat")
    terminal.wait_for("> ")
    for number, line in enumerate(["/help", "/imgae mug.jpg", "/image", "/"], 1):
        terminal.type(f"{line}\n")
        terminal.wait_for("/image FILE... shows photos with your next message", number)
        terminal.wait_for("> ", number + 1)
    assert "There is no command /imgae." in terminal.shown
    assert quick.analyst.ledger()["count"] == 0
    terminal.type(" /etc is a folder?\n")
    terminal.wait_for("tokens, free")
    terminal.wait_for("> ", 6)
    terminal.type("\x04")
    assert terminal.end() == 0
    assert [row["content"] for row in said()[1]][:1] == ["/etc is a folder?"]


def test_on_a_terminal_the_last_messages_of_a_session_are_shown_and_which_were_not_answered(
    vitrine, quick, said
):
    vitrine("chat", given=b"Remember me?")
    made, [_, answered] = said()
    quick.analyst.turn(insufficient_quota=True)
    vitrine("chat", "--session", made, given=b"Lost?")
    terminal = Terminal(vitrine, "chat", "--session", made)
    terminal.wait_for("> Remember me?")
    terminal.wait_for(answered["content"][:40])
    terminal.wait_for("> Lost?")
    terminal.wait_for("(The endpoint's account has no quota left")
    terminal.wait_for("> ", 3)
    terminal.type("\x04")
    assert terminal.end() == 0
