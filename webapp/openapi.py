"""The OpenAPI document and the page that shows it, both served from here so that they work offline."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Flask
from flask_smorest import Api
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug.routing import BaseConverter, Map

from core.ids import ALPHABET, LENGTH
from webapp.errors import ErrorSchema
from webapp.operations import SCHEMES, TOO_LONG

DOCUMENT = "/openapi.json"
DOCS = "/docs"
DESCRIPTION = """\
Post product images and questions; get answers whose cost is known.

Every request needs an API key: `Authorization: Bearer vt_…` or `X-API-Key: vt_…`. Every error is one
envelope, `{"success": false, "error", "error_code", "timestamp", "request_id", "details"}`; `X-Request-ID` of
a request comes back with its answer and finds it in the logs.
"""


class DocumentedApi(Api):  # type: ignore[misc]  # flask-smorest has no types
    """Errors are answered by webapp.errors; only the document is made here."""

    ERROR_SCHEMA = ErrorSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        pass


class IdConverter(BaseConverter):
    """An id of core.ids with one of these prefixes; anything else in its place is a 404."""

    def __init__(self, url_map: Map, *prefixes: str) -> None:
        super().__init__(url_map)
        prefix = prefixes[0] if len(prefixes) == 1 else f"(?:{'|'.join(prefixes)})"
        self.documented = self.regex = rf"{prefix}_[{ALPHABET}]{{{LENGTH}}}"


class MaybeIdConverter(IdConverter):
    """What may be such an id: for views whose own sentence says better that there is none."""

    def __init__(self, url_map: Map, *prefixes: str) -> None:
        super().__init__(url_map, *prefixes)
        self.regex = "[!-.0-~]{1,64}"


def _id_parameter(converter: IdConverter) -> dict[str, str]:
    return {"type": "string", "pattern": f"^{converter.documented}$"}


def make_api(app: Flask) -> Any:
    """The document of an app; blueprints are registered on it."""
    app.config |= {
        "API_TITLE": "Vitrine",
        "API_VERSION": version("vitrine"),
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": DOCUMENT.lstrip("/"),
    }
    options = {"info": {"description": DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}}}
    api = DocumentedApi(app, spec_kwargs=options)
    for converter in (IdConverter, MaybeIdConverter):
        api.register_converter(converter, _id_parameter)
    del api.spec.components.schemas["PaginationMetadata"]  # of a kind of paging that is not used here
    for name, scheme in SCHEMES.items():
        api.spec.components.security_scheme(name, scheme)
    html = {"text/html": {"schema": {"type": "string"}}}
    api.spec.components.response(TOO_LONG, {"description": "The query is too long.", "content": html})
    app.register_blueprint(
        get_swaggerui_blueprint(DOCS, DOCUMENT, config={"app_name": "Vitrine", "validatorUrl": None})
    )
    return api
