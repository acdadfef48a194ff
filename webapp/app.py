"""Makes the web application."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from flask_cors import CORS

from config import Settings
from core.desk import Desk
from webapp import errors, feeds, hearing, idempotency, limits, streams, tracing
from webapp.api import (
    analyses,
    batches,
    brands,
    conversing,
    estimates,
    files,
    following,
    health,
    image,
    metrics,
    presets,
    sessions,
    similar,
    taxonomies,
    usage,
    webhooks,
)
from webapp.exposition import Exposition
from webapp.openai_api import batches as openai_batches
from webapp.openai_api import chat, embeddings
from webapp.openai_api import errors as openai_errors
from webapp.openai_api import files as openai_files
from webapp.openai_api import headers as openai_headers
from webapp.openai_api import models as openai_models
from webapp.openai_api import outputs as openai_outputs
from webapp.openapi import IdConverter, MaybeIdConverter, make_api
from webapp.pages import home
from webapp.uploads import StreamedRequest

API = "/api/v1"
CONVERSATIONS = "/api"
FORM_FIELD_BYTES = 100_000
"""For all the text fields of a form together; a question has at most 4,000 characters, a context 8,000."""
FORM_PARTS = 250
"""Two for each of a hundred files, and what holds for all of them."""

READABLE = (
    "Location",
    "Retry-After",
    "ETag",
    "Content-Range",
    "Content-Disposition",
    tracing.HEADER,
    idempotency.REPLAYED,
    *limits.HEADERS,
)
"""Headers of answers that pages of other origins may read."""


class ReadableJson(DefaultJSONProvider):
    """JSON that people can read, whatever their script; what is no character becomes a question mark."""

    ensure_ascii = False
    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """The JSON text, which UTF-8 can hold."""
        text = super().dumps(obj, **kwargs)
        return text if text.isascii() else text.encode("utf-8", "replace").decode()


class VitrineApp(Flask):
    """Flask, with uploads that go through a hash to disk."""

    request_class = StreamedRequest
    json_provider_class = ReadableJson


def create_app(settings: Settings, desk: Desk | None = None) -> Flask:
    """The application for these settings; opens nothing before its first request."""
    app = VitrineApp("webapp")
    desk = desk or Desk.open(settings, name="web")
    app.debug = settings.debug
    app.config |= {
        "DESK": desk,
        "EXPOSITION": Exposition(desk),
        "MAX_CONTENT_LENGTH": settings.max_request_size,
        "MAX_FORM_MEMORY_SIZE": FORM_FIELD_BYTES,
        "MAX_FORM_PARTS": FORM_PARTS,
    }
    app.url_map.strict_slashes = False
    app.url_map.converters |= {"id": IdConverter, "maybe_id": MaybeIdConverter}
    if settings.cors_origins:
        CORS(app, origins=list(settings.cors_origins), expose_headers=list(READABLE))
    streams.register(app, settings.web_threads)
    openai_headers.register(app)
    limits.register(app, desk)
    feeds.register(app)
    hearing.register(app, desk.events)
    tracing.register(app)
    errors.register(app)
    openai_errors.register(app)
    api = make_api(app)
    submitting = (analyses, batches, estimates, following, image)
    for module in (*submitting, brands, files, presets, similar, taxonomies, usage, webhooks):
        api.register_blueprint(module.blueprint, url_prefix=API)
    for module in (conversing, sessions):
        api.register_blueprint(module.blueprint, url_prefix=CONVERSATIONS)
    api.register_blueprint(conversing.one_off)
    for face in (chat, embeddings, openai_batches, openai_files, openai_models, openai_outputs):
        api.register_blueprint(face.blueprint, url_prefix=openai_errors.PREFIX)
    api.register_blueprint(health.blueprint)
    api.register_blueprint(metrics.blueprint)
    app.register_blueprint(home.blueprint)
    return app
