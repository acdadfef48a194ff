"""What `vitrine estimate` says of a wrong command."""

from io import BytesIO

from PIL import Image


def photo():
    buffer = BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def test_an_estimate_of_nothing_that_is_asked_is_a_wrong_command(scripted_user):
    scripted_user.write("photos/a.jpg", photo())
    for path in ("photos", "photos/a.jpg"):
        done = scripted_user("estimate", path)
        assert done.returncode == 2
        assert "Say what to ask about the images: --question, or --preset." in done.stderr
