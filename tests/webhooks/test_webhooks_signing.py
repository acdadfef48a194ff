"""Signatures, as the libraries that receivers use see them."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import openai
import pytest
from openai.types.webhooks import BatchCompletedWebhookEvent
from standardwebhooks import Webhook, WebhookVerificationError

from core import signing
from core.services import dispatching, webhooks

BODY = b'{"type":"x"}'
PLAIN = "a plain secret of theirs".replace(" ", "-")
SECRETS = [signing.new_secret(), PLAIN]


def key_of(secret):
    """What a receiver makes its verifier of: the secret itself, as bytes where it is not in their form."""
    return secret if secret.startswith("whsec_") else secret.encode()


@pytest.mark.parametrize("secret", SECRETS, ids=["whsec", "plain"])
def test_the_library_of_standard_webhooks_accepts_a_signature(secret):
    headers = signing.headers("evt_1", BODY, [secret])
    assert Webhook(key_of(secret)).verify(BODY, headers) == {"type": "x"}


@pytest.mark.parametrize(
    "tamper",
    [
        {"body": b'{"type":"y"}'},
        {"webhook-id": "evt_2"},
        {"webhook-timestamp": "1"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": None},
    ],
    ids=lambda tamper: next(iter(tamper)),
)
def test_whatever_is_changed_on_the_way_it_refuses(tamper):
    secret = signing.new_secret()
    headers = signing.headers("evt_1", BODY, [secret])
    body = tamper.pop("body", BODY)
    headers = {name: value for name, value in (headers | tamper).items() if value is not None}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_message_and_one_from_the_future_are_refused(minutes):
    secret = signing.new_secret()
    headers = signing.headers("evt_1", BODY, [secret], datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(WebhookVerificationError, match="too"):
        Webhook(secret).verify(BODY, headers)


def test_a_message_replayed_by_a_stranger_has_an_id_that_was_seen_before(shop, receiver):
    """The id is signed, so that a receiver that keeps the ids of five minutes knows a replay."""
    made = shop.webhook(receiver)
    shop.complete()
    shop.deliver()
    [message] = receiver.messages
    Webhook(made.secret).verify(message.body, message.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(message.body, message.headers | {"webhook-id": "evt_new"})


def test_each_attempt_is_signed_at_its_own_time(shop, receiver):
    made = shop.webhook(receiver)
    shop.complete()
    receiver.behave = 500
    shop.deliver()
    shop.hurry()
    shop.deliver()
    first, second = receiver.messages
    assert int(second.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"])
    for message in receiver.messages:
        Webhook(made.secret).verify(message.body, message.headers)


def test_after_a_rotation_both_secrets_verify_for_a_day_and_then_only_the_new_one(shop, receiver):
    made = shop.webhook(receiver)
    rotated = webhooks.rotate(shop.desk, shop.key.account_id, made.id, None)
    old, new = made.secret, rotated.secret
    assert old != new
    shop.complete()
    shop.deliver()
    [message] = receiver.messages
    for secret in (old, new):
        Webhook(secret).verify(message.body, message.headers)
    digest = hmac.new(new.encode(), message.body, hashlib.sha256).hexdigest()
    assert message.headers["x-webhook-signature"] == f"sha256={digest}"
    shop.change_webhook(made, old_secret_until=shop.now())
    shop.complete()
    shop.deliver()
    Webhook(new).verify(receiver.messages[1].body, receiver.messages[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.messages[1].body, receiver.messages[1].headers)


@pytest.mark.parametrize("secret", SECRETS, ids=["whsec", "plain"])
def test_openai_unwraps_what_is_told_of_a_batch(shop, receiver, secret):
    shop.webhook(receiver, secret=secret)
    batch_id = shop.batch(items=1)
    shop.complete_item(batch_id, 0)
    dispatching.move_on(shop.desk)
    shop.deliver()
    [message] = [message for message in receiver.messages if b"batch.completed" in message.body]
    client = openai.OpenAI(api_key="unused", webhook_secret=secret)
    unwrapped = client.webhooks.unwrap(message.body.decode(), message.headers)
    assert isinstance(unwrapped, BatchCompletedWebhookEvent)
    assert (unwrapped.data.id, unwrapped.id) == (batch_id, message.id)
    assert abs(unwrapped.created_at - shop.now().timestamp()) < 60
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(message.body.decode() + " ", message.headers)


def test_without_a_secret_nothing_is_signed_but_the_id_is_there():
    assert set(signing.headers("evt_1", BODY, [])) == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize(
    "secret",
    [
        "short",
        "x" * 257,
        "with a blank",
        "nön-ascii-secret",
        "line\nbreak-secret",
        "whsec_",
        "whsec_!!!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
    ],
)
def test_a_secret_that_could_not_sign_is_refused(secret):
    assert signing.problem_of(secret)


@pytest.mark.parametrize("size", [24, 64])
def test_secrets_in_their_form_of_the_allowed_sizes_are_taken(size):
    assert signing.problem_of("whsec_" + base64.b64encode(b"x" * size).decode()) is None


def test_a_body_is_ascii_so_that_no_two_readers_differ_over_its_bytes(shop, receiver):
    made = shop.webhook(receiver, description="Größe 👟")
    webhooks.ping(shop.desk, shop.key.account_id, made.id)
    shop.deliver()
    [message] = receiver.messages
    assert message.body.isascii()
    assert json.loads(message.body)["data"]["description"] == "Größe 👟"
