"""Hostile files through the whole system: each is refused by name, or completed, or failed by itself."""

import base64

import pytest
import requests
from imaging.hostile import SECRET, menagerie

REFUSALS = {
    400: {"invalid_image", "invalid_request"},
    413: {"file_too_large"},
    415: {"unsupported_media_type"},
}
FAILURES = {"image_undecodable", "image_too_large"}


def upload(live, session, name, content):
    """The id of a file, or None where it was refused in so many words."""
    answer = session.post(f"{live.url}/api/v1/files", files={"file": ("x.jpg", content)})
    if answer.status_code == 201:
        return answer.json()["id"]
    assert answer.json()["error_code"] in REFUSALS[answer.status_code], (name, answer.text)
    return None


@pytest.mark.slow
def test_of_three_hundred_hostile_files_none_harms_the_system_and_no_place_reaches_the_endpoint(quick):
    session = quick.session()
    pids = {name: process.pid for name, process in quick.processes.items()}
    ids = [upload(quick, session, name, content) for name, content in menagerie(300)]
    taken = [file_id for file_id in ids if file_id]
    # What no upload looks into comes inside its item too.
    inside = [{"base64": base64.b64encode(content).decode()} for _, content in menagerie(60) if content]
    inputs = [{"image": image} for image in [*taken, *inside]]
    answer = session.post(
        f"{quick.url}/api/v1/batches", json={"inputs": inputs, "defaults": {"question": "What is it?"}}
    )
    assert answer.status_code == 202, answer.text
    place = f"{quick.url}/api/v1/batches/{answer.json()['id']}"
    quick.wait_for(lambda: session.get(place).json()["completed_at"])
    items = session.get(f"{place}/results?limit=1000").json()["data"]
    assert len(items) == len(inputs)
    assert {item["status"] for item in items} == {"completed", "failed"}
    assert {item["error"]["code"] for item in items if item["error"]} <= FAILURES
    assert {name: process.pid for name, process in quick.processes.items()} == pids
    assert all(process.poll() is None for process in quick.processes.values())
    for call in quick.analyst.ledger()["calls"]:
        for picture in call["images"]:
            sent = requests.get(f"{quick.analyst.root}/control/ledger/images/{picture['sha256']}", timeout=5)
            assert sent.content.startswith(b"\xff\xd8\xff")
            assert SECRET not in sent.content
            assert b"Exif" not in sent.content
