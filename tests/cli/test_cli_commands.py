"""The command as a whole, looking back (show, list), and the operator's side."""

import json
import re
import subprocess
import sys

import pytest
from endpoint import ROOT

from cli.main import SECTIONS
from cli.main import vitrine as top

CLIENTS = tuple(SECTIONS["Commands"])
COMMANDS = ((), *((name,) for name in top.list_commands(None)), ("keys", "create"))
HEAVY = {
    "sqlalchemy",
    "celery",
    "obstore",
    "alembic",
    "flask",
    "openai",
    "PIL",
    "environs",
    "redis",
    "psycopg",
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "vitrine")
def test_help_needs_no_environment(help_of, command):
    done = help_of(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: vitrine {' '.join(command)}".rstrip())


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_command_shows_an_example(help_of, name):
    assert f"\n    vitrine {name} " in help_of(name).stdout


def test_the_help_groups_client_and_operator_commands(help_of):
    shown = help_of().stdout
    client, operator = shown.split("Operator's commands:\n")
    assert all(f"  {name} " in client.split("\nCommands:\n")[1] for name in CLIENTS)
    assert "keys" in operator
    assert "migrate" in operator


@pytest.mark.parametrize("name", top.list_commands(None))
def test_the_line_in_the_help_begins_as_the_command_describes_itself(name):
    line = next(section[name].summary for section in SECTIONS.values() if name in section)
    described = top.get_command(None, name).help
    assert described.lstrip()[:8] == line[:8]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ask", "nope.jpg", "?"], ["product", "nope"], ["list", "--help"]]
)
def test_a_client_loads_nothing_of_the_server(nobody, arguments):
    program = (
        "import sys; sys.argv[0] = 'vitrine'; from cli.main import run; status = run(); "
        "print('\\nloaded', *{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", program, *arguments]
    environment = {**nobody.environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=nobody.folder, env=environment, capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.splitlines()[-1].split()) & HEAVY


def test_a_command_that_does_not_exist_is_status_2(nobody):
    done = nobody("aks")
    assert done.returncode == 2
    assert "No such command 'aks'" in done.stderr


@pytest.fixture
def asked(vitrine, photo):
    """The ids of three analyses, the newest first."""
    names = [vitrine.write(f"{color}.jpg", photo(color)) for color in ("red", "blue", "green")]
    done = vitrine("product", *names, "--json", "--parallel", "1", "--question", "What is it?")
    return [json.loads(line)["id"] for line in done.stdout.splitlines()][::-1]


def test_show_tells_everything_and_json_is_the_analysis(vitrine, asked, analyses):
    shown = vitrine("show", asked[0])
    assert shown.returncode == 0
    for words in (
        asked[0],
        "completed",
        "green.jpg",
        "What is it?",
        "dominant colors: green",
        "tokens, free",
    ):
        assert words in shown.stdout
    assert json.loads(vitrine("show", asked[0], "--json").stdout) == analyses()[0]


def test_show_of_what_is_not_there_is_a_sentence(vitrine):
    done = vitrine("show", "an_01kaj3c0dpw8w0z3f6s9q2xk7v")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vitrine: There is no")
    assert vitrine("show", "../keys").returncode == 2


def test_list_is_the_newest_first_in_80_columns(vitrine, asked):
    done = vitrine("list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["Analysis", *asked]
    done = vitrine("list", "--limit", "2", "--json")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == asked[:2]


def test_list_takes_a_status_and_says_so_when_there_is_none(vitrine, asked):
    assert len(vitrine("list", "--status", "completed", "--json").stdout.splitlines()) == 3
    done = vitrine("list", "--status", "failed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No analysis is failed.\n")
    assert vitrine("list", "--status", "done").returncode == 2


def test_a_long_list_goes_over_pages(scripted_user, scripted, analysis):
    scripted.say({"data": [analysis()] * 100, "has_more": True, "next_cursor": "an_x"})
    scripted.say({"data": [analysis()] * 100, "has_more": True, "next_cursor": "an_y"})
    assert len(scripted_user("list", "--limit", "150", "--json").stdout.splitlines()) == 150
    assert [path.partition("?")[2] for _, path, _ in scripted.asked] == ["limit=100", "limit=100&cursor=an_x"]


def test_a_reader_that_has_enough_is_no_reason_to_complain(scripted_user, scripted, analysis):
    scripted.say({"data": [analysis(answer="x" * 5_000)] * 100, "has_more": True, "next_cursor": "an_x"})
    process = scripted_user.start("list", "--limit", "5000", "--json")
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 1


def test_an_operator_s_command_without_an_environment_names_what_is_missing(nobody):
    done = nobody("keys", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vitrine: Vitrine cannot start, the environment needs mending:")
    assert "DATABASE_URL" in done.stderr


@pytest.fixture
def beside_stack(nobody, live):
    """A user beside a running local stack, with nothing in the environment."""
    home = nobody.folder / "no-home"
    home.mkdir()
    told = {
        "pid": 1,
        "url": live.url,
        "api_key": "",
        "endpoint_url": live.environment["OPENAI_BASE_URL"],
        "database_url": live.environment["DATABASE_URL"],
        "redis_url": live.environment["REDIS_URL"],
    }
    (home / "local.json").write_text(json.dumps(told))
    return nobody


def test_keys_are_made_in_a_local_stack_that_runs_nearby(beside_stack, quick, photo):
    made = beside_stack("keys", "create", "--account", "cli-shop", "--quiet")
    assert made.returncode == 0
    assert made.stderr == f"vitrine: with the local stack in {beside_stack.folder}/no-home\n"
    key = made.stdout.strip()
    mug = beside_stack.write("mug.jpg", photo())
    assert beside_stack("ask", mug, "What is it?", "--key", key).returncode == 0
    assert "cli-shop" in beside_stack("keys", "list").stdout
    assert beside_stack("keys", "revoke", key[:12]).returncode == 0
    assert beside_stack("ask", mug, "What is it?", "--key", key).returncode == 1


def test_migrate_finds_the_local_stack_too(beside_stack):
    done = beside_stack("migrate")
    assert (done.returncode, done.stdout) == (0, "The database is at the newest version.\n")


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_database_that_is_named_is_not_mixed_with_a_local_stack(beside_stack, where):
    line = "DATABASE_URL=postgresql://u:p@127.0.0.1:9/v"
    if where == ".env":
        beside_stack.write(".env", line.encode())
    else:
        beside_stack.environment["DATABASE_URL"] = line.partition("=")[2]
    done = beside_stack("keys", "list")
    assert done.returncode == 1
    assert "REDIS_URL" in done.stderr
    assert "local stack" not in done.stderr


def test_keys_are_listed_with_whole_ids_in_a_narrow_terminal(beside_stack, quick):
    name = "a key for the shop that has a long name"
    assert beside_stack("keys", "create", "--account", "narrow-shop", "--name", name).returncode == 0
    beside_stack.environment |= {"COLUMNS": "80", "TTY_COMPATIBLE": "1"}
    row = beside_stack("keys", "list", "--account", "narrow-shop").stdout.splitlines()[1]
    assert re.match(r"key_[0-9a-z]{26} ", row)
    assert len(row) <= 80
