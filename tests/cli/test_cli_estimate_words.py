"""What `vitrine estimate` says of a wrong command."""

from io import BytesIO

import pytest
from PIL import Image

from cli.estimate import described


def photo():
    buffer = BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(("repaired", "words"), [(0.0, None), (0.001, None), (0.02, "2% of the calls")])
def test_an_estimate_says_how_many_calls_are_made_again_only_where_there_are_some(repaired, words):
    said = described(
        {
            "items": 1,
            "images": 1,
            "usage": {
                "prompt_tokens": 1,
                "completion_tokens": 1,
                "total_tokens": 2,
                "prompt_tokens_details": {"image_tokens": 1},
            },
            "cost": {"total_cost": None, "currency": "USD"},
            "seconds": None,
            "cached": 0,
            "saved_image_tokens": 0,
            "assumed": {"repaired": repaired},
            "warnings": [],
        }
    )
    assert ("Assumed" in said, (words or "") in said) == (words is not None, True)


def test_an_estimate_of_nothing_that_is_asked_is_a_wrong_command(scripted_user):
    scripted_user.write("photos/a.jpg", photo())
    for path in ("photos", "photos/a.jpg"):
        done = scripted_user("estimate", path)
        assert done.returncode == 2
        assert "Say what to ask about the images: --question, or --preset." in done.stderr
