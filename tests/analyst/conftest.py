"""A real analyst process, shared by the tests of this folder and reset before each."""

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from openai import OpenAI
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[2]


class Analyst:
    """A running analyst and the few things tests ask of it."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "-m", "local.analyst", "--port", "0", *flags]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.line = self.process.stdout.readline()
        self.base_url = self.line.split()[-1]
        self.root = self.base_url.removesuffix("/v1")
        self.defaults = requests.get(f"{self.root}/control/knobs", timeout=5).json()
        self.client = OpenAI(base_url=self.base_url, api_key="unused", max_retries=0, timeout=20)

    def turn(self, **knobs: Any) -> requests.Response:
        return requests.put(f"{self.root}/control/knobs", json=knobs, timeout=5)

    def reset(self) -> None:
        self.turn(**self.defaults)
        requests.delete(f"{self.root}/control/ledger", timeout=5)

    def ledger(self, **query: int) -> dict[str, Any]:
        return requests.get(f"{self.root}/control/ledger", params=query, timeout=5).json()

    def post(self, body: Any, timeout: float = 20, **options: Any) -> requests.Response:
        return requests.post(f"{self.base_url}/chat/completions", json=body, timeout=timeout, **options)

    def ask(self, *parts: Any, **options: Any) -> requests.Response:
        return self.post(body(*parts, **options))

    def stop(self) -> tuple[int, str]:
        self.process.terminate()
        _, err = self.process.communicate(timeout=5)
        return self.process.returncode, err


def body(*parts: Any, **options: Any) -> dict[str, Any]:
    """Make a request of texts (str) and images (bytes)."""
    content = [part_of(part) for part in parts]
    return {"model": "pixel-analyst", "messages": [{"role": "user", "content": content}], **options}


def part_of(part: Any) -> dict[str, Any]:
    if isinstance(part, dict):
        return part
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = f"data:image/png;base64,{base64.b64encode(part).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def square_on(ground: str, subject: str, size: tuple[int, int] = (400, 300)) -> bytes:
    """Draw a square (100..200, 50..150) on a plain ground, as PNG."""
    image = Image.new("RGB", size, ground)
    ImageDraw.Draw(image).rectangle((100, 50, 199, 149), subject)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def running():
    started = Analyst("--keep-images")
    yield started
    started.stop()


@pytest.fixture
def analyst(running):
    running.reset()
    return running


@pytest.fixture
def start():
    """Start further analysts with flags of one's own."""
    started = []

    def _start(*flags: str) -> Analyst:
        started.append(Analyst(*flags))
        return started[-1]

    yield _start
    for one in started:
        if one.process.returncode is None:
            one.stop()


@pytest.fixture(name="body")
def body_maker():
    return body


@pytest.fixture(name="square")
def red_square():
    return square_on("white", "#d7262b")


@pytest.fixture(name="square_on")
def square_maker():
    return square_on
