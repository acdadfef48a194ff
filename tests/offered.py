"""What clients of chats show and offer in tests."""

import io

from PIL import Image

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": properties, "required": list(properties)},
        },
    }
    for name, properties in {
        "note_colors": {"dominant_colors": {"type": "array", "items": {"type": "string"}}},
        "note_size": {"width": {"type": "integer"}, "height": {"type": "integer"}},
    }.items()
]


def red():
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (220, 20, 30)).save(buffer, "JPEG")
    return buffer.getvalue()
