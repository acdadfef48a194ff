"""Every way Vitrine says no, as one tree.

A class's docstring is its default message, its `code` is what clients switch on, its `status` is the
HTTP status of the answer. Foreign errors are translated into these once, where they enter.

    VitrineError
    ├── InvalidRequest 400 ── ContentPolicyViolation, ContextLengthExceeded, AnswerTruncated,
    │                         InvalidToolCall, InvalidImage, IntegerAboveMaxValue, IntegerBelowMinValue,
    │                         AddressNotAllowed
    ├── AuthenticationFailed 401      ├── PermissionDenied 403        ├── NotFound 404 ── ModelNotFound
    ├── MethodNotAllowed 405          ├── NotAcceptable 406           ├── Conflict 409 ── WrongState,
    │                                                                   Cancelled, RequestInFlight
    ├── FileTooLarge 413              ├── UnsupportedMediaType 415    ├── RangeNotSatisfiable 416
    ├── IdempotencyMismatch 422
    ├── RateLimitExceeded 429 ── TokenLimitExceeded, BudgetExceeded ── BudgetSetAside
    ├── InternalError 500 ── ModelError ── InvalidOutput; WorkerCrash
    ├── UpstreamError 502 ── QuotaExhausted   ├── Unavailable 503 ── ModelOverloaded
    ├── Timeout 504 ── Expired
    └── ImageError 400 ── ImageUnfetchable, ImageUndecodable, ImageTooLarge,
                          QualityInsufficient   (fail their item alone)
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

QUOTED = 100
"""Characters."""


class VitrineError(Exception):
    """Something went wrong in Vitrine."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.details = dict(details or {})
        self.retry_after = retry_after
        """Seconds after which trying again makes sense; None where it does not."""
        super().__init__(self.message)


class InvalidRequest(VitrineError):
    """The request is not valid."""

    code, status = "invalid_request", 400


class IntegerAboveMaxValue(InvalidRequest):
    """A number is larger than it may be."""

    code = "integer_above_max_value"


class IntegerBelowMinValue(InvalidRequest):
    """A number is smaller than it may be."""

    code = "integer_below_min_value"


class ContentPolicyViolation(InvalidRequest):
    """The endpoint refused to answer under its content policy."""

    code = "content_policy_violation"


class ContextLengthExceeded(InvalidRequest):
    """The question and its images are longer than the model can take."""

    code = "context_length_exceeded"


class AnswerTruncated(InvalidRequest):
    """The answer was cut off before it was complete: allow more max_tokens."""

    code = "answer_truncated"


class InvalidToolCall(InvalidRequest):
    """The tool calls of the conversation do not match."""

    code = "invalid_tool_call"


class InvalidImage(InvalidRequest):
    """An image in the request cannot be accepted."""

    code = "invalid_image"


class AddressNotAllowed(InvalidRequest):
    """An address in the request may not be asked."""


class AuthenticationFailed(VitrineError):
    """An API key is needed: send it as 'Authorization: Bearer vt_…' or 'X-API-Key: vt_…'."""

    code, status = "authentication_error", 401


class PermissionDenied(VitrineError):
    """This API key may not do that."""

    code, status = "permission_denied", 403


class NotFound(VitrineError):
    """There is nothing here by that name."""

    code, status = "not_found", 404


class ModelNotFound(NotFound):
    """This model is not served here."""

    code = "model_not_found"


class MethodNotAllowed(VitrineError):
    """This address does not take that method."""

    code, status = "method_not_allowed", 405


class NotAcceptable(VitrineError):
    """The answer cannot be given in a form that the request accepts."""

    code, status = "not_acceptable", 406


class Conflict(VitrineError):
    """The request conflicts with what is there now."""

    code, status = "conflict", 409


class WrongState(Conflict):
    """The state does not allow this move."""


class Cancelled(Conflict):
    """This was cancelled before it was answered."""

    code = "cancelled"


class RequestInFlight(Conflict):
    """A request with this Idempotency-Key is being accepted just now: send it again in a moment."""

    code = "request_in_flight"


class FileTooLarge(VitrineError):
    """The upload is larger than this server takes."""

    code, status = "file_too_large", 413


class UnsupportedMediaType(VitrineError):
    """This content type is not taken here."""

    code, status = "unsupported_media_type", 415


class RangeNotSatisfiable(VitrineError):
    """The range begins after the end of the file: Content-Range says how long the file is."""

    code, status = "range_not_satisfiable", 416


class IdempotencyMismatch(VitrineError):
    """This Idempotency-Key was used before with another body: take a new key for a new request."""

    code, status = "idempotency_mismatch", 422


class RateLimitExceeded(VitrineError):
    """Too many requests: wait, then try again."""

    code, status = "rate_limit_exceeded", 429


class TokenLimitExceeded(RateLimitExceeded):
    """The token limit is used up: wait, then try again."""

    code = "token_limit_exceeded"


class BudgetExceeded(RateLimitExceeded):
    """The budget of this API key is used up."""

    code = "budget_exceeded"


class BudgetSetAside(BudgetExceeded):
    """What is left of the budget is set aside for calls on their way: some of it will come back."""


class InternalError(VitrineError):
    """Vitrine failed in a way that it did not expect; the request id finds it in the logs."""

    code, status = "internal_error", 500


class ModelError(InternalError):
    """The model could not answer this."""

    code = "model_error"


class InvalidOutput(ModelError):
    """The model's answer does not fit the schema that was asked for."""

    code = "invalid_output"


class WorkerCrash(InternalError):
    """The worker died three times over this item, so it is not tried again."""

    code = "worker_crash"


class UpstreamError(VitrineError):
    """The vision endpoint failed."""

    code, status = "upstream_error", 502


class QuotaExhausted(UpstreamError):
    """The endpoint's account has no quota left."""


class Unavailable(VitrineError):
    """Vitrine cannot do this just now: try again shortly."""

    code, status = "unavailable", 503


class ModelOverloaded(Unavailable):
    """The vision endpoint is overloaded: try again shortly."""

    code = "model_overloaded"


class Timeout(VitrineError):
    """The answer did not come in time."""

    code, status = "timeout", 504


class Expired(Timeout):
    """The analysis was not finished before its deadline."""

    code = "expired"


class ImageError(VitrineError):
    """An image cannot be used; the item that needs it fails, and no other."""

    code, status = "invalid_image", 400


class ImageUnfetchable(ImageError):
    """The image could not be fetched."""

    code = "image_unfetchable"


class ImageUndecodable(ImageError):
    """The image could not be decoded."""

    code = "image_undecodable"


class QualityInsufficient(ImageError):
    """An image does not keep to the rules that were required of it, so nothing was asked."""

    code = "quality_insufficient"


class ImageTooLarge(ImageError):
    """The image has more pixels than this server takes."""

    code = "image_too_large"


def from_code(code: str | None, message: str | None, details: Mapping[str, Any]) -> VitrineError:
    """The error that was stored by its code; a code that is not known any more is an InternalError.

    What was cancelled has no code, and its reason as the message.
    """
    if code is None:
        return Cancelled(message and f"This was not answered: {message}.", details=details)
    return _by_code(VitrineError).get(code, InternalError)(message, details=details)


def quoted(said: object) -> str:
    """What a client wrote, as an error repeats it: in quotes, and no more than its beginning."""
    text = str(said)
    return repr(text if len(text) <= QUOTED else f"{text[:QUOTED]}…")


def _by_code(root: type[VitrineError]) -> dict[str, type[VitrineError]]:
    """The classes below a root by code; the topmost of those that share one."""
    found: dict[str, type[VitrineError]] = {}
    for child in root.__subclasses__():
        found = _by_code(child) | {child.code: child} | found
    return found
