"""Errors on their way out: the only place that knows which status a domain error has."""

from collections.abc import Mapping
from typing import Any

import msgspec
from quart import Quart, Response, current_app, request
from quart_schema import RequestSchemaValidationError
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge

from freshledger.errors import (
    AppError,
    Busy,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    TooMany,
    Unauthenticated,
    Uncertain,
)
from freshledger.web.api import invalid_body
from freshledger.web.context import find_viewer
from freshledger.web.idempotency import KeyReused, sent_again
from freshledger.web.rendering import login_redirect, render

STATUSES: dict[type[AppError], int] = {
    Invalid: 422,
    NotFound: 404,
    Conflict: 409,
    PreconditionFailed: 412,
    PreconditionRequired: 428,
    Unauthenticated: 401,
    Forbidden: 403,
    TooMany: 429,
    Busy: 503,
    Uncertain: 503,
}
RETRY_AFTER = 1
"""Seconds after which a busy database is worth another try."""


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457 problem details, with our stable code and the field it is about."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None


def install(app: Quart) -> None:
    """Answer errors as pages, or as application/problem+json under /api/."""
    app.register_error_handler(AppError, _app_error)
    app.register_error_handler(RequestSchemaValidationError, _invalid_body)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(InternalServerError, _internal_error)


def wants_json() -> bool:
    """Tell whether a program asks: everything under /api/, and a page's script (htmx)."""
    return request.path.startswith("/api/") or "HX-Request" in request.headers


async def answer(
    status: int,
    code: str,
    message: str,
    field: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Response:
    """Answer an error in the asker's language; `details` are for programs."""
    if wants_json():
        title = code.replace("_", " ").capitalize()
        problem = Problem("about:blank", title, status, code, message, field)
        body = msgspec.json.encode(msgspec.to_builtins(problem) | (details or {}))
        return Response(body, status, content_type="application/problem+json")
    again = None
    if code in {Uncertain.code, KeyReused.code} or _is_form_of_what_is_gone(code):
        again = await sent_again(same_key=code == Uncertain.code)
    page = await render(
        "error.html", status=status, code=code, message=message, field=field, again=again
    )
    return Response(page, status, content_type="text/html; charset=utf-8")


def _is_form_of_what_is_gone(code: str) -> bool:
    """Tell whether somebody typed what now has no place; an upload's body is not read for it."""
    typed = request.method == "POST" and request.mimetype == "application/x-www-form-urlencoded"
    return typed and code == NotFound.code and find_viewer() is not None


async def _app_error(error: AppError) -> Response:
    if isinstance(error, Unauthenticated) and not wants_json():
        return login_redirect()
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    details = error.details if isinstance(error, PreconditionFailed) else None
    response = await answer(status, error.code, error.message, error.field, details)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, Busy):
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


async def _invalid_body(error: RequestSchemaValidationError) -> Response:
    return await _app_error(invalid_body(error.validation_error))


async def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = (error.name or "error").lower().replace(" ", "_")
    said = _SENTENCES.get(status) or error.description or code
    if isinstance(error, RequestEntityTooLarge) and request.mimetype == "multipart/form-data":
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        said = _TOO_LARGE.format(limit=limit)
    response = await answer(status, code, said)
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    for name, value in error.get_headers():
        if name.lower() in {"allow", "location"}:
            response.headers[name] = value
    return response


async def _internal_error(_error: InternalServerError) -> Response:
    return await answer(500, "internal_error", _SENTENCES[500])


_TOO_LARGE = (
    "These files are too large: at most {limit:,} bytes are taken at once"
    " (FRESHLEDGER_MAX_UPLOAD). Export shorter periods."
)
_SENTENCES = {
    404: "There is no such page here.",
    405: "This address does not take that method.",
    413: "What was sent is larger than this address takes.",
    500: "Something went wrong here; nothing was changed. The server's log has the reason.",
}
