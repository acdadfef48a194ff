"""Makes the web application."""

from __future__ import annotations

from flask import Flask
from flask_cors import CORS

from config import Settings
from core.desk import Desk
from webapp import errors, tracing
from webapp.api import analyses, health, image
from webapp.openapi import IdConverter, make_api
from webapp.pages import home
from webapp.uploads import StreamedRequest

API = "/api/v1"
FORM_FIELD_BYTES = 100_000
"""For all the text fields of a form together; a question has at most 4,000 characters, a context 8,000."""


class VitrineApp(Flask):
    """Flask, with uploads that go through a hash to disk."""

    request_class = StreamedRequest


def create_app(settings: Settings, desk: Desk | None = None) -> Flask:
    """The application for these settings; opens nothing before its first request."""
    app = VitrineApp("webapp")
    app.debug = settings.debug
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider
    app.config |= {
        "DESK": desk or Desk.open(settings, name="web"),
        "MAX_CONTENT_LENGTH": settings.max_request_size,
        "MAX_FORM_MEMORY_SIZE": FORM_FIELD_BYTES,
        "MAX_FORM_PARTS": 200,
    }
    app.url_map.strict_slashes = False
    app.url_map.converters["id"] = IdConverter
    if settings.cors_origins:
        CORS(
            app,
            origins=list(settings.cors_origins),
            expose_headers=["Location", "Retry-After", tracing.HEADER],
        )
    tracing.register(app)
    errors.register(app)
    api = make_api(app)
    for module in (analyses, image):
        api.register_blueprint(module.blueprint, url_prefix=API)
    api.register_blueprint(health.blueprint)
    app.register_blueprint(home.blueprint)
    return app
