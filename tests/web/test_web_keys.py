"""Keys: who may do what, and what is kept of them."""

from datetime import timedelta

import pytest

from core.models import ApiKey
from core.services import keys
from core.services.keys import Scope

LIST = "/api/v1/analyses"


def get(app, **headers):
    return app.test_client().get(
        LIST, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_key_opens_the_door_in_either_header(app, key):
    assert get(app, Authorization=f"Bearer {key.secret}").status_code == 200
    assert get(app, Authorization=f"bearer  {key.secret}").status_code == 200
    assert get(app, X_API_Key=key.secret).status_code == 200


@pytest.mark.parametrize(
    "secret", ["", "vt_", "vt_" + "x" * 43, "sk-123", "vt_ünïcode", "\x7f", "vt_" + "x" * 100_000]
)
def test_anything_else_is_a_401_that_says_how(app, secret):
    answer = get(app, X_API_Key=secret)
    assert (answer.status_code, answer.json["error_code"]) == (401, "authentication_error")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_right_beginning_with_a_wrong_rest_is_refused(app, key):
    wrong = key.secret[:-1] + ("a" if key.secret[-1] != "a" else "b")
    assert get(app, X_API_Key=wrong).status_code == 401


def test_a_revoked_or_expired_key_stops_working_at_once(app, desk, new_key):
    revoked, expired = new_key(), new_key(valid_for=timedelta(microseconds=1))
    assert get(app, X_API_Key=revoked.secret).status_code == 200
    keys.revoke(desk, revoked.key.prefix)
    assert get(app, X_API_Key=revoked.secret).status_code == 401
    assert get(app, X_API_Key=expired.secret).status_code == 401


def test_a_scope_that_is_missing_is_a_403_that_names_it(app, new_key):
    reader, writer = new_key(scopes=frozenset({Scope.READ})), new_key(scopes=frozenset({Scope.WRITE}))
    assert get(app, X_API_Key=writer.secret).status_code == 403
    refused = app.test_client().post(LIST, headers={"X-API-Key": reader.secret}, json={})
    assert (refused.status_code, refused.json["error_code"]) == (403, "permission_denied")
    assert "write" in refused.json["error"]


def test_only_the_hash_of_a_key_is_kept_and_its_repr_tells_nothing(desk, new_key):
    made = new_key()
    with desk.database.transaction() as session:
        row = session.get(ApiKey, made.key.id)
    assert len(row.digest) == 32
    assert made.secret not in repr(vars(row))
    assert made.secret not in repr(made)
    assert len(made.secret) >= len("vt_") + 43
