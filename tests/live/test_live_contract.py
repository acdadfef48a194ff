"""The OpenAPI document against the running server: whatever it allows or forbids, the answers keep to it."""

import subprocess

import pytest
import requests
from endpoint import BIN

ENDLESS = "/api/v1/webhooks/stream"


@pytest.mark.timeout(3600)  # it makes some thousand requests
@pytest.mark.parametrize(
    "phases", ["examples,coverage", pytest.param("fuzzing,stateful", marks=pytest.mark.slow)]
)
def test_generated_requests_find_no_5xx_and_no_undocumented_answer(quick, tmp_path, phases):
    session = quick.session()
    command = [
        BIN / "st",
        "run",
        f"{quick.url}/openapi.json",
        *("--header", f"Authorization: {session.headers['Authorization']}"),
        *("--phases", phases, "--workers", "1", "--max-examples", "8", "--seed", "1"),
        # How long it takes to think of requests is no promise of ours, nor is an answer's time here.
        *("--suppress-health-check", "too_slow", "--request-timeout", "100"),
        # A stream that never ends.
        *("--exclude-path", ENDLESS),
        # No schema can say that bytes are an image, so bytes that fit the schema may still be refused.
        *("--exclude-checks", "positive_data_acceptance"),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = [line for line in quick.log_of("web").read_text().splitlines() if '"level": "error"' in line]
    assert run.returncode == 0, "\n".join([run.stdout[-6000:], *errors[-3:]])
    methods = {"get", "post", "delete", "patch", "put"}
    operations = -1 + sum(
        len(methods & path.keys())
        for path in requests.get(f"{quick.url}/openapi.json", timeout=10).json()["paths"].values()
    )
    assert f"Tested: {operations}" in run.stdout
