"""Signatures of webhooks: https://www.standardwebhooks.com, and a plain HMAC beside it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

BRAND = "whsec_"
NEW_BYTES = 32
FEWEST_BYTES, MOST_BYTES = 24, 64
"""Of a secret in the form of Standard Webhooks."""
FEWEST_CHARACTERS, MOST_CHARACTERS = 8, 256
"""Of a plain one."""


def new_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return BRAND + base64.b64encode(secrets.token_bytes(NEW_BYTES)).decode()


def problem_of(secret: str) -> str | None:
    """Why nothing can be signed with this secret, as a sentence; None where it can."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "A webhook secret is of visible ASCII characters."
    if not secret.startswith(BRAND):
        fits = FEWEST_CHARACTERS <= len(secret) <= MOST_CHARACTERS
        return None if fits else f"A webhook secret has {FEWEST_CHARACTERS} to {MOST_CHARACTERS} characters."
    try:
        size = len(base64.b64decode(secret.removeprefix(BRAND), validate=True))
    except binascii.Error:
        size = 0
    if FEWEST_BYTES <= size <= MOST_BYTES:
        return None
    return f"What follows {BRAND} is base64 of {FEWEST_BYTES} to {MOST_BYTES} bytes."


def headers(
    message_id: str, body: bytes, given: Sequence[str], now: datetime | None = None
) -> dict[str, str]:
    """The headers of a message: signed by each of the secrets, the present one first.

    Without a secret there is no signature. `X-Webhook-Signature` is by the present one, as it was given.
    """
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    found = {"webhook-id": message_id, "webhook-timestamp": str(int(moment.timestamp()))}
    if given:
        text = body.decode()
        signatures = [_signer(secret).sign(message_id, moment, text) for secret in given]
        digest = hmac.new(given[0].encode(), body, hashlib.sha256).hexdigest()
        found |= {"webhook-signature": " ".join(signatures), "X-Webhook-Signature": f"sha256={digest}"}
    return found


def _signer(secret: str) -> Webhook:
    """A plain secret signs as it is; only one in their form is decoded."""
    return Webhook(secret if secret.startswith(BRAND) else secret.encode())
