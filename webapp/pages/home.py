"""The front door: a page for people, the same as JSON for programs."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Blueprint, jsonify, render_template, request

blueprint = Blueprint("home", __name__)

LINKS = {"docs": "/docs", "openapi": "/openapi.json", "health": "/api/health", "api": "/api/v1"}


@blueprint.get("/")
def home() -> Any:
    """Say what this is and where to go on."""
    best = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
    if best == "text/html":
        return render_template("home.html", version=version("vitrine"))
    return jsonify(name="Vitrine", version=version("vitrine"), **LINKS)
