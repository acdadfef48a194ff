"""vitrine ask, as a process against the live system."""

import json
import re
import signal
import threading
import time

import pytest
from waiting import PATIENCE, wait_until

PROMPT_SECONDS = 2
"""For which a submission waits before the command looks again."""


@pytest.fixture
def mug(vitrine, photo):
    return vitrine.write("mug.jpg", photo("red"))


def test_the_answer_is_all_of_standard_output_and_the_bill_the_last_line_of_the_other(vitrine, mug, analyses):
    done = vitrine("ask", mug, "What colour is it?")
    [made] = analyses()
    assert (done.returncode, done.stdout) == (0, made["answer"] + "\n")
    assert re.fullmatch(rf"[\d,]+ tokens, free, \d+\.\d\d s, pixel-analyst \({made['id']}\)\n", done.stderr)


def test_all_images_go_into_one_analysis_in_their_order(vitrine, photo, analyses):
    names = [vitrine.write(f"{color}.png", photo(color, form="PNG")) for color in ("teal", "blue", "red")]
    assert vitrine("ask", *names, "Which is red?").returncode == 0
    [made] = analyses()
    assert [image["file_name"] for image in made["images"]] == names
    assert made["question"] == "Which is red?"


def test_json_is_the_whole_analysis_with_every_option_in_it(vitrine, mug, analyses):
    options = (
        "--context",
        "Listed as: coral",
        "--preset",
        "product",
        "--detail",
        "low",
        "--max-tokens",
        "321",
    )
    done = vitrine("ask", mug, "Does it match?", *options, "--model", "pixel-analyst", "--json")
    [made] = analyses()
    assert json.loads(done.stdout) == made
    assert (made["context"], made["preset"], made["question"]) == (
        "Listed as: coral",
        "product",
        "Does it match?",
    )


def test_a_preset_needs_no_question_and_its_data_is_a_line_for_each_field(vitrine, mug, analyses):
    done = vitrine("ask", mug, "--preset", "product")
    assert done.returncode == 0
    assert analyses()[0]["question"] is None
    assert "dominant colors: red" in done.stdout.splitlines()


def test_an_image_is_read_from_standard_input(vitrine, photo, analyses):
    done = vitrine("ask", "-", "What colour is it?", given=photo("green"))
    assert done.returncode == 0
    assert "green" in done.stdout
    assert analyses()[0]["images"][0]["file_size"] == len(photo("green"))


def test_korean_questions_and_file_names_arrive_as_they_are(vitrine, photo, analyses):
    name = vitrine.write("빨간 머그컵.jpg", photo("red"))
    done = vitrine("ask", name, "무슨 색이에요?", "--json")
    [made] = analyses()
    assert done.returncode == 0
    assert (made["images"][0]["file_name"], made["question"]) == (name, "무슨 색이에요?")
    assert "무슨 색이에요?" in done.stdout


def test_an_answer_that_takes_longer_than_a_request_is_waited_for(vitrine, mug, quick):
    quick.analyst.turn(latency=PROMPT_SECONDS + 1.5)
    done = vitrine("ask", mug, "What colour is it?")
    assert done.returncode == 0
    assert "red" in done.stdout


def test_an_image_that_cannot_be_decoded_is_a_sentence_and_status_1(vitrine, photo):
    done = vitrine("ask", vitrine.write("broken.jpg", photo()[:900]), "What is it?")
    assert (done.returncode, done.stdout) == (1, "")
    assert "vitrine: The image is damaged and cannot be decoded" in done.stderr


def test_a_refusal_is_one_sentence_with_the_request_id(vitrine, mug):
    done = vitrine("ask", mug, "What is it?", "--model", "gpt-nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"vitrine: The model 'gpt-nothing' is not served here; .*\(request cli-\w+\)\.\n", done.stderr
    )


def test_a_file_over_the_limit_is_told_by_the_server(vitrine, photo):
    name = vitrine.write("huge.jpg", photo() + b"\0" * 40_000_000)
    done = vitrine("ask", name, "What is it?")
    assert done.returncode == 1
    assert re.search(r"larger than|at most", done.stderr)


WRONG = {
    "no question": (["mug.jpg"], "The last argument is the question, but mug.jpg is a file"),
    "no image": (["What is it?"], "Give an image and a question"),
    "nothing": ([], "Missing argument"),
    "missing file": (["nope.jpg", "What is it?"], "There is no file nope.jpg."),
    "folder": (["folder", "What is it?"], "folder is a folder; `vitrine product` takes folders."),
    "empty file": (["mug.jpg", "empty.jpg", "What is it?"], "empty.jpg is empty."),
    "blank question": (["mug.jpg", " "], "The question is blank."),
    "standard input twice": (["-", "-", "What is it?"], "only once"),
    "nothing on standard input": (["-", "What is it?"], "Standard input is empty."),
    "no such detail": (["mug.jpg", "What?", "--detail", "huge"], "--detail"),
    "no such option": (["mug.jpg", "What?", "--nope"], "--nope"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_is_status_2_before_anything_is_sent(vitrine, mug, analyses, case):
    (vitrine.folder / "folder").mkdir()
    vitrine.write("empty.jpg", b"")
    arguments, sentence = WRONG[case]
    done = vitrine("ask", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert analyses() == []


def test_ctrl_c_cancels_the_analysis(vitrine, mug, quick, analyses):
    quick.analyst.turn(latency=20)
    process = vitrine.start("ask", mug, "What colour is it?")
    done = vitrine.interrupt(process, analyses)
    [made] = analyses()
    assert (done.returncode, done.stdout) == (130, "")
    assert made["status"] == "cancelled"
    assert done.stderr.startswith("Cancelled.")
    assert "Traceback" not in done.stderr


def test_ctrl_c_with_keep_says_where_to_look(vitrine, mug, quick, analyses):
    quick.analyst.turn(latency=4)
    process = vitrine.start("ask", mug, "What colour is it?", "--keep")
    done = vitrine.interrupt(process, analyses)
    assert done.returncode == 130
    assert f"vitrine show {analyses()[0]['id']}" in done.stderr
    quick.wait_for(lambda: analyses()[0]["status"] == "completed")


def test_ctrl_c_while_an_image_is_sent_leaves_the_server_without_it(scripted_user, scripted):
    scripted.slowly = 0.05
    process = scripted_user.start("ask", scripted_user.write("p.jpg", bytes(40_000_000)), "What is it?")
    done = scripted_user.interrupt(process, lambda: scripted.asked)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "vitrine: Stopped before anything was asked.\n"
    assert scripted.methods == ["POST"]


def test_a_second_ctrl_c_leaves_at_once(scripted_user, scripted, photo):
    left, answered = threading.Event(), []
    scripted.answers.append(lambda: answered.append(left.wait(PATIENCE)))  # hangs up at last
    process = scripted_user.start("ask", scripted_user.write("p.jpg", photo()), "What is it?")
    wait_until(lambda: scripted.asked)
    process.send_signal(signal.SIGINT)
    time.sleep(1)  # two at once would be one
    done = scripted_user.interrupt(process, lambda: True)
    assert not answered  # nobody waited for it
    left.set()
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_nothing_that_steers_a_terminal_is_printed(scripted_user, scripted, analysis, photo):
    scripted.say(analysis(answer="\x1b[31mred\x1b[0m\a\x9b2J\u202efine\nnext\tline"))
    name = scripted_user.write("a\x1b[2Jb.jpg", photo())
    done = scripted_user("ask", name, "What is it?")
    assert done.stdout == "[31mred[0m2Jfine\nnext\tline\n"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)
    as_json = scripted_user("ask", name, "What is it?", "--json").stdout
    assert "\x1b" not in as_json
    assert json.loads(as_json)["answer"].startswith("\x1b[31mred")
