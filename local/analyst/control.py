"""The operator's side: knobs and ledger. No real endpoint has these paths."""

import json
from dataclasses import asdict

from tornado.web import HTTPError

from local.analyst.errors import invalid
from local.analyst.handlers import JsonHandler

PAGE = 1000


class KnobsHandler(JsonHandler):
    """`GET` and `PUT /control/knobs`."""

    def get(self) -> None:
        """Show all knobs."""
        self.reply(asdict(self.desk.knobs))

    def put(self) -> None:
        """Turn the knobs that are named, from the next call on."""
        try:
            changes = json.loads(self.request.body)
        except ValueError:
            raise invalid("The body of the request is not valid JSON.") from None
        self.desk.turn(changes)
        self.get()


class LedgerHandler(JsonHandler):
    """`GET` and `DELETE /control/ledger`."""

    def get(self) -> None:
        """List calls with a number above `after`, at most `limit` of them."""
        self.reply(self.desk.ledger.page(self.number("after", 0), self.number("limit", PAGE)))

    def delete(self) -> None:
        """Forget all calls; the next one is number 1."""
        self.desk.ledger.reset()
        self.get()


class ImageHandler(JsonHandler):
    """`GET /control/ledger/images/<sha256>`, with `--keep-images` only."""

    def get(self, digest: str) -> None:
        """Send an image exactly as it was received."""
        data = self.desk.shelf.find(digest) if self.desk.shelf else None
        if data is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(data)
