"""What the Dockerfile promises, and that its installation of Vitrine works, done without Docker."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text()))
LINES = [line.split(maxsplit=1) for line in INSTRUCTIONS.splitlines() if line]
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
LET_IN = [line[1:] for line in IGNORED if line.startswith("!")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def all_of(instruction):
    return [rest for name, rest in LINES if name == instruction]


def commands():
    """Every shell command of the RUN lines."""
    return [command.strip() for run in all_of("RUN") for command in run.split("&&")]


def test_the_base_is_pinned_to_the_python_the_project_is_tested_with():
    bases = [rest.split()[0] for rest in all_of("FROM")]
    assert set(bases[1:]) == {"base"}
    assert re.fullmatch(r"python:3\.11-slim-\w+", bases[0])
    assert PROJECT["tool"]["mypy"]["python_version"] == "3.11"


def test_packages_come_from_the_lock_by_their_hashes_as_wheels():
    (locked,) = [command for command in commands() if "requirements.lock" in command]
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(locked.split())
    others = [command for command in commands() if "pip install" in command and command != locked]
    assert all({"--no-deps", "--no-build-isolation"} <= set(command.split()) for command in others)


def test_the_last_stage_runs_as_the_user_that_owns_the_blobs():
    user = all_of("USER")[-1]
    assert user == "10001:10001"
    assert "useradd --uid 10001" in INSTRUCTIONS
    assert "install --directory --owner vitrine" in INSTRUCTIONS
    assert LINES.index(["USER", user]) > LINES.index(["FROM", "base"])


def test_no_secret_is_built_in():
    assert all_of("ARG") == []
    assert not re.search(r"(?i)password|secret|token|api_?key", INSTRUCTIONS)
    assert IGNORED[1] == "*"
    assert not any(name.startswith((".", "*")) for name in LET_IN)


def test_everything_that_is_imported_or_read_is_let_in():
    setup = PROJECT["tool"]["setuptools"]
    top = {name.split("/")[0].removesuffix(".py") for name in LET_IN}
    assert set(setup["packages"]) | set(setup["py-modules"]) | {"gunicorn.conf"} <= top


@pytest.fixture
def context(tmp_path):
    """What `COPY . .` finds."""
    folder = tmp_path / "app"
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in LET_IN:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=skip)
        elif source.exists():
            shutil.copy2(source, target)
    return folder


@pytest.fixture
def venv(tmp_path):
    """An environment of its own that borrows the packages of this one."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def test_its_steps_install_a_vitrine_that_finds_its_code_and_data(context, venv):
    steps = [command for command in commands() if "--editable" in command or "compileall" in command]
    assert len(steps) == 2
    environment = {
        "PATH": f"{venv / 'bin'}:{os.defpath}",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "REDIS_URL": "redis://127.0.0.1:9",
        "STORAGE_URL": (context / "blobs").as_uri(),
        "OPENAI_API_KEY": "unused",
    }

    def run(*words):
        outcome = subprocess.run(
            words, cwd=context, env=environment, capture_output=True, text=True, check=False
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return outcome.stdout

    for step in steps:
        words = step.replace("pip ", "python -m pip --quiet --disable-pip-version-check ", 1).split()
        run(*words)
    assert (context / "core" / "__pycache__" / "db.cpython-311.pyc").exists()
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    assert PROJECT["project"]["version"] in run("vitrine", "--version")
    look = """
import cli.migrate, core.presets, core.pricing, wsgi, worker.app
assert cli.migrate.MIGRATIONS.joinpath("env.py").exists()
assert core.presets.Presets().latest("product")
assert wsgi.app.test_client().get("/health").status_code == 200
assert wsgi.app.jinja_env.list_templates()
print(core.presets.__file__)
"""
    assert run("python", "-c", look).strip() == str(context / "core" / "presets" / "__init__.py")
