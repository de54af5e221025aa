"""Who asks, and for which ledger: found before every view, refused by default.

A view says what it takes only where it differs from the rule: signed in; a member of the
ledger in its path; for anything but reading, an editor of a ledger that is not archived.

A reading request is one snapshot, which begins with this look-up: who asks, their role, the
ledger's name and version, and all that the view reads belong to the same moment.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from quart import Quart, Response, current_app, has_request_context
from sqlalchemy import and_, bindparam, column, func, or_, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnySelect, Executor, Fields, fetch
from freshledger.errors import Forbidden, NotFound, Unauthenticated
from freshledger.models import Head, Ledger, Member, Session, Token, TokenUse, User
from freshledger.web import idempotency
from freshledger.web.security import check_csrf_token, check_same_site, csrf_token
from freshledger.web.session import (
    READING,
    FreshQuart,
    begin_snapshot,
    current_request,
    current_session,
    current_unit,
)

TOKEN_PREFIX = "fl_"  # noqa: S105 - a prefix, no password
ROLES = ("viewer", "editor", "owner")
"""From the least to the most."""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is signed in; with a token `token_scope` is read or write, in a browser None."""

    user_id: int
    email: str
    name: str
    is_admin: bool
    time_zone: str
    theme: str
    page_size: int
    settings_version: int
    csrf_token: str | None = None
    token_scope: str | None = None
    token_id: int | None = None
    token_ledger_id: int | None = None
    token_used_at: datetime | None = None

    @property
    def actor(self) -> str:
        """How the ledger's record names them."""
        return f"user:{self.user_id}"


@dataclass(frozen=True, slots=True)
class Access:
    """The ledger in the path, as the viewer may use it; `version` is its version now.

    `migration` is the revision that the database is at.
    """

    id: int
    name: str
    epoch: UUID
    role: str
    archived: bool
    version: int
    migration: str

    def allows(self, role: str) -> bool:
        """Tell whether the viewer's role is at least `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def can_edit(self) -> bool:
        """Whether pages show the viewer what changes the ledger."""
        return self.allows("editor") and not self.archived


class ViewerRequest(idempotency.KeyedRequest):
    """A request that knows who asks."""

    viewer: Viewer | None = None
    ledger: Access | None = None
    session_token: str | None = None
    shown_version: int | None = None

    def forget(self) -> None:
        """Forget who asks: they may have changed since they were looked up."""
        self.viewer = self.ledger = self.session_token = None

    async def admit_upload(self) -> None:
        """Let only those upload who may change what they ask for: a file fills a disk.

        Looks with a connection that is given back before the body is read.
        """
        check_same_site(self)
        view = current_app.view_functions.get(self.endpoint or "")
        if view is None or getattr(view, "access", None) == "public":
            await super().admit_upload()
            return
        async with cast("FreshQuart", current_app).database.read() as session:
            await _admit(self, session, view)


def install(app: Quart) -> None:
    """Find viewer and ledger before every view; call this after the session's hook."""
    idempotency.install(app)
    app.before_request(_identify)


def public(view: View) -> View:
    """Let a view be used without signing in."""
    view.access = "public"  # type: ignore[attr-defined]
    return view


def requires(role: str, *, archived: bool = False) -> Callable[[View], View]:
    """Ask for `role` of the ledger for every method; `archived` also if it is archived."""

    def mark(view: View) -> View:
        view.access = role  # type: ignore[attr-defined]
        view.archived = archived  # type: ignore[attr-defined]
        return view

    return mark


def one_statement(view: View) -> View:
    """Mark a reading view that is whole without a snapshot: one statement reads all it shows.

    The ledger's version must come from that statement too; `freshness.shows` names it.
    """
    view.one_statement = True  # type: ignore[attr-defined]
    return view


def asked() -> ViewerRequest:
    """Return the request."""
    return cast("ViewerRequest", current_request())


def viewer() -> Viewer:
    """Return who asks; raises Unauthenticated where nobody is signed in."""
    found = asked().viewer
    if found is None:
        raise Unauthenticated("sign in first")
    return found


def find_viewer() -> Viewer | None:
    """Return who asks, or None on a public page."""
    return asked().viewer if has_request_context() else None


def ledger() -> Access:
    """Return the ledger in the path; only views under /ledgers/<ledger_id> have one."""
    found = asked().ledger
    if found is None:
        raise NotFound("there is no such ledger")
    return found


def find_ledger() -> Access | None:
    """Return the ledger in the path, or None on pages outside of any."""
    return asked().ledger if has_request_context() else None


def session_token() -> str | None:
    """Return the secret of this browser's session, None for tokens and strangers."""
    return asked().session_token


async def act_as(session: AsyncSession, user_id: int) -> None:
    """Let the ledger's record name that user for what the transaction changes from now on."""
    await session.execute(_AS_ACTOR, {"actor": f"user:{user_id}"})


def session_cookie(scheme: str) -> str:
    """Return the session cookie's name: tied to the host where the connection is secure."""
    return "__Host-freshledger" if scheme == "https" else "freshledger"


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a secret that has 256 random bits: its SHA-256."""
    return hashlib.sha256(secret.encode()).digest()


async def _identify() -> Response | None:
    current = asked()
    check_same_site(current)
    view = current_app.view_functions.get(current.endpoint or "")
    if view is None or current.endpoint == "static":
        return None
    single = getattr(view, "one_statement", False)
    if not single and getattr(view, "access", None) != "public":
        await begin_snapshot()
    known = single and _has_secret(current)  # a stranger takes no connection
    await _admit(current, await current_unit().connection() if known else current_session(), view)
    if current.session_token:
        await check_csrf_token(current.session_token)
    if current.viewer is None or current.method in READING:
        return None
    if getattr(view, "access", None) == "public":  # its answer may sign somebody in
        await act_as(current_session(), current.viewer.user_id)
        return None
    current.secret = current.session_token or _bearer_token(current)
    return await idempotency.begin_writing(current.viewer.user_id)


async def _admit(current: ViewerRequest, session: Executor, view: Callable[..., Any]) -> None:
    """Find who asks, and refuse what is not theirs; a stranger passes to a public view."""
    access = getattr(view, "access", None)
    ledger_id = (current.view_args or {}).get("ledger_id")
    if not await recognise(session, current, ledger_id):
        if access == "public":
            return
        raise Unauthenticated("sign in first, or send a valid token")
    if not current.session_token and access != "public":
        _check_token_is_for(current, ledger_id)
    if ledger_id is not None:
        _authorize(current, access, archived=getattr(view, "archived", False))


def _check_token_is_for(current: ViewerRequest, ledger_id: int | None) -> None:
    """Raise Forbidden for what a token is not made for: pages, and changes outside its ledger."""
    outside = ledger_id is None and current.method not in READING
    if outside or not current.path.startswith("/api/"):
        raise Forbidden("a token is for one ledger's API; sign in with a browser")


def _authorize(current: ViewerRequest, access: str | None, *, archived: bool) -> None:
    found, who = ledger(), viewer()
    reads = current.method in READING
    needed = access or ("viewer" if reads else "editor")
    if not found.allows(needed):
        raise Forbidden(f"this needs the role {needed}; yours in this ledger is {found.role}")
    if who.token_scope == "read" and not reads:  # noqa: S105 - a scope, no password
        raise Forbidden("this token may only read; make one with the scope write")
    if who.token_scope and access == "owner":
        raise Forbidden("a token cannot do this; sign in with a browser")
    if found.archived and not reads and not archived:
        raise Forbidden("this ledger is archived and cannot be changed; its owner can reopen it")


async def recognise(session: Executor, current: ViewerRequest, ledger_id: int | None) -> bool:
    """Find who asks, and the ledger as they may use it, in one statement; False for a stranger.

    Raises NotFound for a ledger that is not theirs.
    """
    current.forget()
    row = await _find(session, current, ledger_id)
    if row is None:
        return False
    current.viewer = _viewer(row, current.session_token)
    if ledger_id is not None:
        current.ledger = _access(row)
    return True


async def _find(session: Executor, current: ViewerRequest, ledger_id: int | None) -> Fields | None:
    if token := _bearer_token(current):
        return await _find_token(session, token, ledger_id)
    secret = current.cookies.get(session_cookie(current.scheme))
    if not secret:
        return None
    values = {"hash": hash_secret(secret), "ledger": ledger_id}
    row = next(iter(await fetch(session, _BY_SESSION, values)), None)
    if row is None:
        return None
    current.session_token = secret
    if ledger_id is not None and row["ledger_id"] is None:
        raise NotFound("there is no such ledger")
    return row


def _has_secret(current: ViewerRequest) -> bool:
    return bool(_bearer_token(current) or current.cookies.get(session_cookie(current.scheme)))


def _bearer_token(current: ViewerRequest) -> str:
    """Return the token that the request carries, '' for none; other schemes are a proxy's."""
    scheme, _, token = current.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _find_token(session: Executor, secret: str, ledger_id: int | None) -> Fields | None:
    own = secret.removeprefix(TOKEN_PREFIX).partition("_")[0]
    if not secret.startswith(TOKEN_PREFIX) or not (own.isascii() and own.isdigit()):
        return None
    if len(own) > 18:  # noqa: PLR2004 - more digits are no bigint
        return None
    values = {"hash": hash_secret(secret), "ledger": int(own)}
    row = next(iter(await fetch(session, _BY_TOKEN, values)), None)
    if row is not None and ledger_id is not None and ledger_id != row["ledger_id"]:
        raise NotFound("there is no such ledger")
    return row


_MIGRATION: AnySelect = select(column("version_num")).select_from(table("alembic_version"))


_SESSIONS, _TOKENS, _USES, _USERS, _MEMBERS, _LEDGERS, _HEADS = (
    model.__table__ for model in (Session, Token, TokenUse, User, Member, Ledger, Head)
)
"""Tables, not entities: a row of columns costs less to make than the ORM's."""


def _people() -> AnySelect:
    return select(
        _USERS.c.id, _USERS.c.email, _USERS.c.name, _USERS.c.is_admin, _USERS.c.time_zone,
        _USERS.c.theme, _USERS.c.page_size, _USERS.c.settings_version, _MEMBERS.c.role,
        _LEDGERS.c.id.label("ledger_id"), _LEDGERS.c.name.label("ledger_name"),
        _LEDGERS.c.epoch, _LEDGERS.c.archived_at, _HEADS.c.version,
        _MIGRATION.scalar_subquery().label("migration"),
    ).where(_USERS.c.disabled_at.is_(None))  # fmt: skip


_MEMBERSHIP = and_(_MEMBERS.c.user_id == _USERS.c.id, _MEMBERS.c.ledger_id == bindparam("ledger"))
_BY_SESSION = (
    _people()
    .select_from(_SESSIONS)
    .join(_USERS, _USERS.c.id == _SESSIONS.c.user_id)
    .outerjoin(_MEMBERS, _MEMBERSHIP)
    .outerjoin(_LEDGERS, _LEDGERS.c.id == _MEMBERS.c.ledger_id)
    .outerjoin(_HEADS, _HEADS.c.ledger_id == _LEDGERS.c.id)
    .where(_SESSIONS.c.token_hash == bindparam("hash"), _SESSIONS.c.expires_at > func.now())
)
_BY_TOKEN = (
    _people()
    .add_columns(_TOKENS.c.scope, _TOKENS.c.id.label("token_id"), _USES.c.last_used_at)
    .select_from(_TOKENS)
    .join(_USERS, _USERS.c.id == _TOKENS.c.user_id)
    .join(_MEMBERS, _MEMBERSHIP)
    .join(_LEDGERS, _LEDGERS.c.id == _MEMBERS.c.ledger_id)
    .join(_HEADS, _HEADS.c.ledger_id == _LEDGERS.c.id)
    .outerjoin(
        _USES, and_(_USES.c.ledger_id == _TOKENS.c.ledger_id, _USES.c.token_id == _TOKENS.c.id)
    )
    .where(
        _TOKENS.c.ledger_id == bindparam("ledger"),
        _TOKENS.c.token_hash == bindparam("hash"),
        _TOKENS.c.revoked_at.is_(None),
        or_(_TOKENS.c.expires_at.is_(None), _TOKENS.c.expires_at > func.now()),
    )
)
_AS_ACTOR = select(
    func.set_config("freshledger.actor", bindparam("actor"), True)  # noqa: FBT003 - set_config's is_local
)


def _viewer(row: Fields, secret: str | None) -> Viewer:
    return Viewer(
        user_id=row["id"],
        email=row["email"],
        name=row["name"],
        is_admin=row["is_admin"],
        time_zone=row["time_zone"],
        theme=row["theme"],
        page_size=row["page_size"],
        settings_version=row["settings_version"],
        csrf_token=csrf_token(secret) if secret else None,
        token_scope=row.get("scope"),
        token_id=row.get("token_id"),
        token_ledger_id=row["ledger_id"] if "token_id" in row else None,
        token_used_at=row.get("last_used_at"),
    )


def _access(row: Fields) -> Access:
    return Access(
        id=row["ledger_id"],
        name=row["ledger_name"],
        epoch=row["epoch"],
        role=row["role"],
        archived=row["archived_at"] is not None,
        version=row["version"],
        migration=row["migration"],
    )
