"""What is said about processes, ports and lock files, without starting anything."""

import pytest

from local.deaths import Translator
from local.lock_check import HEADER, PYTHON_LOCKS, dependency_hash, problems
from local.ports import OUTGOING, free_port, is_free

PROJECT = """
[build-system]
requires = ["setuptools"]
[project]
name = "shop"
dependencies = ["flask>=3"]
"""


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("terminated by SIGKILL; not expected", "signal 9"),
        ("terminated by SIGSEGV (core dumped); not expected", "signal 11"),
        ("exit status 1; not expected", "exit status 1"),
        ("exit status 0; expected", "exit status 0"),
    ],
)
def test_a_death_is_told_once_it_was_mended(reason, said):
    translator = Translator()
    assert translator.sentence(f"WARN exited: worker-1 ({reason})") is None
    spawned = "INFO spawned: 'worker-1' with pid 42"
    assert translator.sentence(spawned) == f"worker-1 died ({said}); started again as pid 42"
    assert translator.sentence(spawned) is None, "a start without a death is no news"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in PYTHON_LOCKS:
        (tmp_path / name).write_text(
            f"{HEADER}{dependency_hash(tmp_path)}\nflask==3.1 \\\n  --hash=sha256:00\n"
        )
    return tmp_path


def test_fresh_lock_files_pass(project):
    assert problems(project) == []


def test_only_a_change_of_dependencies_makes_lock_files_old(project):
    document = project / "pyproject.toml"
    document.write_text(PROJECT + "[tool.ruff]\nline-length = 110\n")
    assert problems(project) == []
    document.write_text(PROJECT.replace("flask>=3", "flask>=3.1"))
    assert problems(project) == [
        f"{name} is older than pyproject.toml: run python3 dev lock" for name in PYTHON_LOCKS
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("requirements.lock", "--index-url https://pypi.example/simple"),
        ("requirements-dev.lock", "shop @ file:///opt/wheels/shop.whl"),
        ("requirements.lock", "--find-links /opt/wheels"),
        ("package-lock.json", '"resolved": "https://registry.example/htmx.tgz",'),
        ("uv.lock", 'source = { registry = "https://pypi.example/simple" }'),
        ("pyproject.toml", 'find-links = ["/opt/wheels"]'),
    ],
)
def test_an_address_in_a_lock_file_is_found(project, name, line):
    with (project / name).open("a") as file:
        file.write(f"# {line}\n" if name == "pyproject.toml" else f"{line}\n")
    assert len(problems(project)) == 1
    assert problems(project)[0].startswith(f"{name}:")


def test_a_port_for_a_server_is_none_that_an_outgoing_connection_may_take_meanwhile():
    first_outgoing = int(OUTGOING.read_text().split()[0])
    ports = [free_port() for _ in range(50)]
    assert max(ports) < first_outgoing
    assert all(map(is_free, ports))
