"""Inputs and outputs of batches of lines, for tests."""

import base64
import json

FINAL = {"completed", "failed", "cancelled", "expired"}


def line(custom_id, text="What colour is it?", image=None, **more):
    """One request as an object; `more` goes into its body."""
    parts = [{"type": "text", "text": text}]
    if image is not None:
        url = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    body = {"model": "pixel-analyst", "messages": [{"role": "user", "content": parts}], "max_tokens": 50}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body | more}


def jsonl(*rows):
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    return "".join(text + "\n" for text in texts).encode()


def uploaded(sdk, content):
    return sdk.files.create(file=("input.jsonl", content), purpose="batch")


def created(sdk, content, **more):
    order = {"endpoint": "/v1/chat/completions", "completion_window": "24h", **more}
    return sdk.batches.create(input_file_id=uploaded(sdk, content).id, **order)


def awaited(live, sdk, batch, seconds=60):
    def look():
        found = sdk.batches.retrieve(batch.id)
        return found if found.status in FINAL else None

    return live.wait_for(look, seconds, every=0.3)


def lines_of(sdk, file_id):
    return [json.loads(text) for text in sdk.files.content(file_id).text.splitlines()]
