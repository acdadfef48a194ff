"""What all HTTP handlers do alike: JSON in and out, errors in OpenAI's shape."""

import json
from types import TracebackType
from typing import Any

from tornado.web import HTTPError, RequestHandler

from local.analyst.desk import Desk
from local.analyst.errors import ApiError, invalid
from local.analyst.request import MODEL

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]


class JsonHandler(RequestHandler):
    """Base of all handlers."""

    desk: Desk

    def initialize(self, desk: Desk) -> None:
        """Take the shared state from the routes."""
        self.desk = desk

    def reply(self, body: dict[str, Any], status: int = 200) -> None:
        """Send a JSON body."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body, ensure_ascii=False))

    def refuse(self, error: ApiError) -> None:
        """Send an error."""
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.reply(error.body(), error.status)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Put what was raised, or a plain HTTP status, into OpenAI's shape."""
        exc_info: ExcInfo | None = kwargs.get("exc_info")
        raised = exc_info[1] if exc_info else None
        if isinstance(raised, ApiError):
            self.refuse(raised)
            return
        kind = "server_error" if status_code >= 500 else "invalid_request_error"
        self.refuse(
            ApiError(status_code, f"{self._reason}: {self.request.method} {self.request.path}", kind=kind)
        )

    def log_exception(self, typ: Any, value: BaseException | None, tb: TracebackType | None) -> None:
        """Keep the log for faults of ours: refusals are the client's to read."""
        if not isinstance(value, ApiError | HTTPError):
            super().log_exception(typ, value, tb)

    def number(self, name: str, default: int) -> int:
        """Read a whole number of at least 0 from the query."""
        text = self.get_query_argument(name, str(default))
        if not text.isdecimal():
            raise invalid(f"{name} must be a whole number.", name)
        return int(text)


class NotFoundHandler(JsonHandler):
    """Any other path."""

    def prepare(self) -> None:
        """Refuse whatever the method."""
        raise HTTPError(404)


class HealthHandler(JsonHandler):
    """`GET /health`."""

    def get(self) -> None:
        """Say that the server serves."""
        self.reply({"status": "ok", "model": MODEL})


class ModelsHandler(JsonHandler):
    """`GET /v1/models` and `GET /v1/models/<id>`."""

    def get(self, model: str | None = None) -> None:
        """List the one model, or show it."""
        card = {"id": MODEL, "object": "model", "created": 0, "owned_by": "vitrine"}
        if model is None:
            self.reply({"object": "list", "data": [card]})
        elif model == MODEL:
            self.reply(card)
        else:
            message = f"The model `{model}` does not exist."
            raise ApiError(404, message, param="model", code="model_not_found")
