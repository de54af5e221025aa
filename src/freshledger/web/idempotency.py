"""A request that is sent again is not done again.

A writing request of somebody who is signed in puts a row into idempotency_keys, in its own
transaction: under the key that it carries, or under one that nobody else knows, by which the
outcome of a lost COMMIT is found. With a key of its own the answer is kept there too. Whoever
sends the same again within 24 hours gets that answer; the view is not run.

An equal request that comes meanwhile waits at the unique index for the first one's end. Where
that fails, its row is gone with all else it did, and the key is free.
"""

import asyncio
import functools
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import IO, Any, cast

from quart import Quart, Response, abort, request
from quart.wrappers.response import DataBody
from sqlalchemy import bindparam, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnyRow
from freshledger.errors import Busy, Conflict, Invalid
from freshledger.models import IdempotencyKey
from freshledger.web.outcome import Mark, Written
from freshledger.web.session import READING, FreshRequest, current_unit

HEADER, FIELD = "Idempotency-Key", "idempotency_key"
LONGEST = 200
"""Characters of a key."""

LARGEST = 256 * 1024
"""Bytes of an answer's body that is kept."""

_KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Ledger-Version")
_NOTICE = "freshledger_notice="
"""The cookie that web/rendering sets; no other is kept."""

_OWN = " "
"""How keys begin that nobody sent; those that are sent have no space."""


class KeyReused(Invalid):
    """The key belongs to another request; nothing was done."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, as a digest, and under which key; `field` is where it was."""

    key: str
    digest: bytes
    field: str


class KeyedRequest(FreshRequest):
    """A request that may carry a key; `asked` is what is wrong with it where it is none.

    `secret` is that of its session or token. What is stored of a request is keyed with it: a
    form may hold a password, which nobody who reads the table shall find by trying.
    """

    asked: Asked | Invalid | None = None
    secret = ""
    shows_secret = False


def install(app: Quart) -> None:
    """Give templates `new_key`, and read keys before a request holds a connection."""
    app.jinja_env.globals["new_key"] = new_key
    app.before_request(_read)


def new_key() -> str:
    """Return a key that nobody has had."""
    return secrets.token_urlsafe(16)


async def sent_again(*, same_key: bool) -> dict[str, Any] | None:
    """Return the request's form, to be shown and sent once more; None where it cannot be.

    Files would have to be chosen again, and passwords are not written into a page.
    """
    form, files = await request.form, await request.files
    if files or not form or {"password", "current"} & form.keys():
        return None
    fields = [(name, value) for name, value in form.items(multi=True) if name not in _TOKENS]
    key = form.get(FIELD) if same_key else new_key()
    action = request.full_path if request.query_string else request.path
    return {"action": action, "fields": fields, "key": key}


_TOKENS = {"csrf_token", FIELD}


def shown_once() -> None:
    """Keep no copy of this request's answer: it shows a secret that nobody can read again."""
    _request().shows_secret = True


async def begin_writing(user_id: int) -> Response | None:
    """Name the user as the actor and take the request's key; first in its transaction.

    Returns the kept answer where the request was done before, to be sent in place of the
    view's. Raises KeyReused where the key belongs to another one.
    """
    unit, asked = current_unit(), _request().asked
    if isinstance(asked, Invalid):
        raise asked
    taken = Asked(f"{_OWN}{new_key()}", b"", "")
    if asked is not None:
        digest = hmac.digest(_request().secret.encode(), asked.digest, "sha256")
        taken = replace(asked, digest=digest)
    which = {"of_user": user_id, "of_key": taken.key}
    for _ in range(_TRIES):
        row = (await unit.session.execute(_BEGIN, _begin_values(user_id, taken))).one()
        if row.at is not None:
            unit.remember(Mark(int(row.xid), Written(user_id, taken.key, row.at)))
            if asked is not None:
                unit.before_commit = functools.partial(_keep, unit.session, which)
            return None
        found = (await unit.session.execute(_FIND, which)).one_or_none()
        if found is not None:
            return _replay(found, taken)
        await unit.session.execute(_FORGET, which)  # it is a day old, or was just forgotten
    raise Busy("others keep sending the same; try again in a moment")


async def resume_writing(user_id: int) -> None:
    """Begin the transaction of a request that has released its connection again.

    Where the same was done meanwhile, the request ends with the kept answer.
    """
    kept = await begin_writing(user_id)
    if kept is not None:
        abort(kept)


_TRIES = 3


def _begin_values(user_id: int, taken: Asked) -> dict[str, Any]:
    return {
        "actor": f"user:{user_id}",
        "user_id": user_id,
        "key": taken.key,
        "request": taken.digest,
    }


async def _read() -> None:
    """Read the key and digest the request, whose files may be large."""
    current = _request()
    current.shows_secret = False
    if current.method in READING:
        return
    form = await current.form
    field = HEADER if HEADER in current.headers else FIELD
    key = current.headers.get(HEADER, form.get(FIELD))
    if key is None:
        current.asked = None
    elif not _is_key(key):
        current.asked = Invalid(
            f"{field}: a key is 1 to {LONGEST} visible ASCII characters", field=field
        )
    else:
        current.asked = Asked(key, await _digest(), field)


def _is_key(key: str) -> bool:
    return 1 <= len(key) <= LONGEST and all("!" <= character <= "~" for character in key)


async def _digest() -> bytes:
    """Digest what is asked for; the boundaries of a multipart form and its tokens say nothing."""
    path = request.full_path if request.query_string else request.path
    digest = hashlib.sha256(_framed(request.method.encode(), path.encode()))
    if request.mimetype in _FORMS:
        form, files = await request.form, await request.files
        for name, value in form.items(multi=True):
            if name not in _TOKENS:
                digest.update(_framed(name.encode(), value.encode()))
        for name, file in files.items(multi=True):
            content = await asyncio.to_thread(_digest_file, file.stream)
            digest.update(_framed(name.encode(), (file.filename or "").encode(), content))
    else:
        digest.update(_framed(cast("bytes", await request.get_data(as_text=False))))
    return digest.digest()


_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


def _framed(*parts: bytes) -> bytes:
    """Join parts so that no others give the same bytes."""
    return b"".join(len(part).to_bytes(8) + part for part in parts)


def _digest_file(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").digest()  # type: ignore[arg-type]
    stream.seek(0)
    return digest


async def _keep(session: AsyncSession, which: dict[str, Any], answer: Any) -> None:  # noqa: ANN401 - Quart's own union
    """Keep an answer with its key, unless it shows a secret, is long, or is a stream."""
    kept: dict[str, Any] = {"status": None, "headers": [], "body": None}
    body = _body(answer)
    if body is not None and len(body) <= LARGEST and not _request().shows_secret:
        kept = {"status": answer.status_code, "headers": _headers(answer), "body": body}
    if not (await session.execute(_KEEP.values(kept).returning(IdempotencyKey.key), which)).all():
        raise RuntimeError("the key is not in this transaction: resume_writing was not called")


def _body(answer: Any) -> bytes | None:  # noqa: ANN401 - Quart's own union of responses
    """Return an answer's body, None for a stream; what has no content has an empty one."""
    if answer.status_code == 204:  # noqa: PLR2004 - No Content
        return b""
    body = getattr(answer, "response", None)
    return body.data if isinstance(body, DataBody) else None


def _headers(answer: Response) -> list[list[str]]:
    return [
        [name, value]
        for name, value in answer.headers.items()
        if name.title() in {kept.title() for kept in _KEPT_HEADERS}
        or name.upper().startswith("HX-")
        or (name.title() == "Set-Cookie" and value.startswith(_NOTICE))
    ]


def _replay(found: AnyRow, asked: Asked) -> Response:
    """Answer again what was answered."""
    if found.request != asked.digest:
        raise KeyReused(
            f"{asked.field}: this key belongs to another request, which was done;"
            " send this one with a new key if it is meant as well",
            field=asked.field,
        )
    if found.status is None:
        raise Conflict(_DONE_ALREADY)
    answer = Response(found.body, found.status)
    del answer.headers["Content-Type"]
    for name, value in found.headers:
        answer.headers.add(name, value)
    answer.headers["Idempotency-Replayed"] = "true"
    return answer


_DONE_ALREADY = (
    "this was done already, and its answer is not kept: it showed a secret once, or was long;"
    " if you missed a token or an invitation, revoke it and make another"
)


def _request() -> "KeyedRequest":
    return cast("KeyedRequest", request)


_BEGIN = text("""
WITH forgotten AS (
  DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
    ORDER BY created_at LIMIT 20 FOR UPDATE SKIP LOCKED))
), taken AS (
  INSERT INTO idempotency_keys (user_id, key, request) VALUES (:user_id, :key, :request)
  ON CONFLICT DO NOTHING RETURNING created_at
)
SELECT set_config('freshledger.actor', :actor, true), pg_current_xact_id()::text AS xid,
  (SELECT created_at FROM taken) AS at
""")
_WHICH = (
    IdempotencyKey.user_id == bindparam("of_user"), IdempotencyKey.key == bindparam("of_key"),
)  # fmt: skip
_A_DAY_AGO = func.now() - timedelta(days=1)
_FIND = select(
    IdempotencyKey.request, IdempotencyKey.status, IdempotencyKey.headers, IdempotencyKey.body
).where(*_WHICH, IdempotencyKey.created_at >= _A_DAY_AGO)
_FORGET = delete(IdempotencyKey).where(*_WHICH, IdempotencyKey.created_at < _A_DAY_AGO)
_KEEP = update(IdempotencyKey).where(*_WHICH)
