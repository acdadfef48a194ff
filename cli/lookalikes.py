"""Images that look alike, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cli.batch.client import BatchClient
from cli.connection import READ_SECONDS, named
from cli.local_file import LocalFile
from cli.multipart import Upload

KEPT_SECONDS = 3_600
"""After which an upload goes, should this command not live to remove it: the least that the server takes."""
MEASURING_SECONDS = 60.0
"""For which the server may wait until a worker has measured an image."""
PAGE = 100

Row = dict[str, Any]


class LookalikesClient(BatchClient):
    """Uploads for a while, and asks what looks like them."""

    kept_seconds = KEPT_SECONDS

    def forget(self, file_id: str) -> None:
        """Remove an upload."""
        self._ask_again("DELETE", f"/files/{named(file_id)}")

    def duplicates(self, file_id: str, threshold: int | None) -> Iterator[Row]:
        """Every file that shows the same as this one, the nearest first. Raises Refused, Unreachable."""
        query: dict[str, Any] = {"limit": PAGE} | ({} if threshold is None else {"threshold": threshold})
        while True:
            page = self._ask_again(
                "GET",
                f"/files/{named(file_id)}/duplicates",
                params=query,
                patience=MEASURING_SECONDS + READ_SECONDS,
            ).body
            yield from page["data"]
            if not page["has_more"]:
                return
            query["cursor"] = page["next_cursor"]

    def similar(self, image: LocalFile | str, limit: int, metadata: Mapping[str, str]) -> list[Row]:
        """The images most like a local one, or like a file of the server. Raises as `upload` does."""
        patience = MEASURING_SECONDS + READ_SECONDS
        if isinstance(image, str):
            order: dict[str, Any] = {"image": {"file_id": image}, "limit": limit}
            order |= {"metadata": metadata} if metadata else {}
            return list(self._ask_again("POST", "/similar", json=order, patience=patience).body["data"])
        fields = {"limit": str(limit)} | ({"metadata": json.dumps(metadata)} if metadata else {})
        body = Upload(fields, [image], self.interrupt)
        headers = {"Content-Type": body.content_type}
        answer = self._ask_again("POST", "/similar", data=body, headers=headers, patience=patience)
        return list(answer.body["data"])
