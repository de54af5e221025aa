"""Pages of ledgers: the list, one ledger, its members and its API tokens."""

from quart import Blueprint, current_app, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.errors import AppError, Conflict, Forbidden, Invalid
from freshledger.ledgers import commands, repository, tokens
from freshledger.merging import LostEdit
from freshledger.named import MAX_NAME
from freshledger.web.context import ROLES, ledger, requires, viewer
from freshledger.web.errors import STATUSES
from freshledger.web.forms import form_choices, form_seen
from freshledger.web.freshness import unversioned
from freshledger.web.idempotency import shown_once
from freshledger.web.preconditions import Control, choice, conflict_page
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

blueprint = Blueprint("ledgers", __name__)

LIFETIMES = (("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"), ("", "never"))
"""The days a token may last that the page offers, and how it names them."""


@blueprint.get("/ledgers")
async def list_ledgers() -> ResponseReturnValue:
    """Show the ledgers of which one is a member."""
    return await _list_page()


@blueprint.post("/ledgers")
async def create_ledger() -> ResponseReturnValue:
    """Make a ledger of one's own."""
    name = (await request.form).get("name", "")
    try:
        ledger_id = await commands.create_ledger(
            current_session(), name=name, owner_id=viewer().user_id
        )
    except Invalid as error:
        return await _list_page(error=error, name=name), STATUSES[type(error)]
    return see_other(url_for(".show_ledger", ledger_id=ledger_id), notice="The ledger is made.")


@blueprint.get("/ledgers/<int:ledger_id>")
async def show_ledger(ledger_id: int) -> ResponseReturnValue:
    """Show a ledger's counts, and what its owner can do with it."""
    return await _ledger_page(ledger_id)


@blueprint.post("/ledgers/<int:ledger_id>")
@requires("owner")
async def rename_ledger(ledger_id: int) -> ResponseReturnValue:
    """Give a ledger another name; both names of a lost edit are shown, 412."""
    form, here = await request.form, url_for(".show_ledger", ledger_id=ledger_id)
    was, sent = form_seen(form, "was"), form_choices(form, ["name"])
    if not sent:
        return see_other(here, notice="Left as it was.")
    name = sent["name"]
    try:
        await commands.rename_ledger(current_session(), ledger_id=ledger_id, name=name, was=was)
    except LostEdit as lost:
        (one,) = lost.lost
        return await conflict_page(
            [choice(one, Control("Name", limit=MAX_NAME), yours=name)],
            subject=f"Ledger “{one.theirs}”",
            keep_url=here,
            kept={"was": one.theirs},
        )
    except Invalid as error:
        page = await _ledger_page(ledger_id, error=error, name=name, was=was)
        return page, STATUSES[type(error)]
    return see_other(here, notice="Renamed.")


@blueprint.post("/ledgers/<int:ledger_id>/archive")
@requires("owner")
async def archive_ledger(ledger_id: int) -> ResponseReturnValue:
    """Archive a ledger: everybody can read it, nobody can change it."""
    await repository.update_archived(current_session(), ledger_id=ledger_id, archived=True)
    return see_other(
        url_for(".show_ledger", ledger_id=ledger_id),
        notice="The ledger is archived; nothing in it can be changed until it is reopened.",
    )


@blueprint.post("/ledgers/<int:ledger_id>/reopen")
@requires("owner", archived=True)
async def reopen_ledger(ledger_id: int) -> ResponseReturnValue:
    """Let an archived ledger be changed again."""
    await repository.update_archived(current_session(), ledger_id=ledger_id, archived=False)
    return see_other(
        url_for(".show_ledger", ledger_id=ledger_id), notice="The ledger is open again."
    )


@blueprint.post("/ledgers/<int:ledger_id>/delete")
@requires("owner", archived=True)
async def delete_ledger(ledger_id: int) -> ResponseReturnValue:
    """Delete a ledger for good, for whoever types its name."""
    typed = (await request.form).get("typed_name", "")
    try:
        await commands.delete_ledger(
            current_session(), ledger_id=ledger_id, name=ledger().name, typed=typed
        )
    except Invalid as error:
        return await _ledger_page(ledger_id, error=error), STATUSES[type(error)]
    return see_other(url_for(".list_ledgers"), notice=f"{ledger().name} is deleted.")


@blueprint.post("/ledgers/<int:ledger_id>/leave")
@requires("viewer", archived=True)
async def leave_ledger(ledger_id: int) -> ResponseReturnValue:
    """Give up one's own membership; the only owner cannot."""
    user_id = viewer().user_id
    try:
        await commands.remove_member(
            current_session(), ledger_id=ledger_id, user_id=user_id, by=user_id
        )
    except Conflict as error:
        return await _ledger_page(ledger_id, error=error), STATUSES[type(error)]
    return see_other(url_for(".list_ledgers"), notice=f"You have left {ledger().name}.")


@blueprint.get("/ledgers/<int:ledger_id>/members")
@unversioned("people")
async def list_members(ledger_id: int) -> ResponseReturnValue:
    """Show with whom a ledger is shared."""
    return await _members_page(ledger_id)


@blueprint.post("/ledgers/<int:ledger_id>/members")
@requires("owner")
async def add_member(ledger_id: int) -> ResponseReturnValue:
    """Share a ledger with somebody who has an account."""
    form = await request.form
    email, role = form.get("email", ""), form.get("role", "")
    try:
        await commands.add_member(current_session(), ledger_id=ledger_id, email=email, role=role)
    except Invalid as error:
        page = await _members_page(ledger_id, error=error, email=email, role=role)
        return page, STATUSES[type(error)]
    return _to_members(ledger_id, f"{email.strip()} is a member now.")


@blueprint.post("/ledgers/<int:ledger_id>/members/<int:user_id>")
@requires("owner")
async def change_role(ledger_id: int, user_id: int) -> ResponseReturnValue:
    """Give a member another role."""
    role, by = (await request.form).get("role", ""), viewer().user_id
    try:
        await commands.change_role(
            current_session(), ledger_id=ledger_id, user_id=user_id, role=role, by=by
        )
    except Conflict as error:
        return await _members_page(ledger_id, error=error), STATUSES[type(error)]
    return _to_members(ledger_id, "The role is changed.")


@blueprint.post("/ledgers/<int:ledger_id>/members/<int:user_id>/delete")
@requires("owner")
async def remove_member(ledger_id: int, user_id: int) -> ResponseReturnValue:
    """Remove a member, whose tokens for the ledger end too."""
    by = viewer().user_id
    try:
        await commands.remove_member(current_session(), ledger_id=ledger_id, user_id=user_id, by=by)
    except Conflict as error:
        return await _members_page(ledger_id, error=error), STATUSES[type(error)]
    return _to_members(ledger_id, "The member is removed.")


@blueprint.get("/ledgers/<int:ledger_id>/tokens")
@unversioned("token use")
async def list_tokens(ledger_id: int) -> ResponseReturnValue:
    """Show one's API tokens; owners see everybody's."""
    return await _tokens_page(ledger_id)


@blueprint.post("/ledgers/<int:ledger_id>/tokens")
async def create_token(ledger_id: int) -> ResponseReturnValue:
    """Make a token and show it, this once: nobody can read it again, so no redirect."""
    form = await request.form
    given = {name: form.get(name, "") for name in ("name", "scope", "days")}
    try:
        token = await commands.create_token(
            current_session(),
            ledger_id=ledger_id,
            user_id=viewer().user_id,
            name=given["name"],
            scope=given["scope"],
            days=commands.days_of(given["days"]),
        )
    except (Invalid, Forbidden) as error:
        return await _tokens_page(ledger_id, error=error, given=given), STATUSES[type(error)]
    shown_once()
    return await _tokens_page(ledger_id, token=token), 201


@blueprint.post("/ledgers/<int:ledger_id>/tokens/<int:token_id>/delete")
@requires("viewer", archived=True)
async def revoke_token(ledger_id: int, token_id: int) -> ResponseReturnValue:
    """Revoke one's token; owners may revoke everybody's."""
    whose = None if ledger().allows("owner") else viewer().user_id
    await tokens.revoke_token(
        current_session(), ledger_id=ledger_id, token_id=token_id, user_id=whose
    )
    return see_other(url_for(".list_tokens", ledger_id=ledger_id), notice="The token is revoked.")


async def _list_page(*, error: AppError | None = None, name: str = "") -> str:
    rows = await repository.list_ledgers(current_session(), user_id=viewer().user_id)
    return await render(
        "ledgers/list.html", ledger_rows=rows, home=_home_url, error=error, name=name
    )


def _home_url(ledger_id: int) -> str:
    """Return where one goes in a ledger: its transactions."""
    views, place = current_app.view_functions, "transactions.list_transactions"
    return url_for(place if place in views else ".show_ledger", ledger_id=ledger_id)


async def _ledger_page(
    ledger_id: int,
    *,
    error: AppError | None = None,
    name: str | None = None,
    was: str | None = None,
) -> str:
    row = await commands.get_ledger(
        current_session(), user_id=viewer().user_id, ledger_id=ledger_id
    )
    counted = [(what, getattr(row, what)) for what in repository.COUNTED]
    return await render(
        "ledgers/show.html",
        row=row,
        counted=counted,
        error=error,
        name=row.name if name is None else name,
        was=row.name if was is None else was,
    )


async def _members_page(
    ledger_id: int, *, error: AppError | None = None, email: str = "", role: str = "editor"
) -> str:
    members = await repository.list_members(current_session(), ledger_id=ledger_id)
    return await render(
        "ledgers/members.html", members=members, roles=ROLES, error=error, email=email, role=role
    )


async def _tokens_page(
    ledger_id: int,
    *,
    token: str | None = None,
    error: AppError | None = None,
    given: dict[str, str] | None = None,
) -> str:
    whose = None if ledger().allows("owner") else viewer().user_id
    found = await tokens.list_tokens(current_session(), ledger_id=ledger_id, user_id=whose)
    return await render(
        "ledgers/tokens.html",
        tokens=found,
        token=token,
        error=error,
        given=given or {"name": "", "scope": "read", "days": "90"},
        lifetimes=LIFETIMES,
    )


def _to_members(ledger_id: int, notice: str) -> ResponseReturnValue:
    return see_other(url_for(".list_members", ledger_id=ledger_id), notice=notice)
