"""The administrator's page of people: who has an account, who is invited."""

from quart import Blueprint, request, url_for
from quart.typing import ResponseReturnValue

from freshledger.accounts import commands, repository
from freshledger.errors import AppError, Conflict, Forbidden, Invalid
from freshledger.web.context import viewer
from freshledger.web.errors import STATUSES
from freshledger.web.idempotency import shown_once
from freshledger.web.rendering import render, see_other
from freshledger.web.session import current_session

blueprint = Blueprint("people", __name__)


@blueprint.before_request
async def _only_for_administrators() -> None:
    if not viewer().is_admin:
        raise Forbidden("only an administrator sees and changes who has an account")


@blueprint.get("/people")
async def list_people() -> ResponseReturnValue:
    """Show who has an account and who is invited."""
    return await _page()


@blueprint.post("/people/invitations")
async def invite() -> ResponseReturnValue:
    """Make a one-time link and show it, this once: nobody can read it again, so no redirect."""
    form = await request.form
    email = form.get("email", "")
    try:
        secret = await commands.invite(
            current_session(), email=email, is_admin=bool(form.get("is_admin"))
        )
    except (Invalid, Conflict) as error:
        return await _page(error=error, email=email), STATUSES[type(error)]
    link = url_for("accounts.setup", token=secret, _external=True)
    shown_once()
    return await _page(link=link, email=email.strip()), 201


@blueprint.post("/people/invitations/<int:invitation_id>/delete")
async def delete_invitation(invitation_id: int) -> ResponseReturnValue:
    """Take an invitation back."""
    await repository.delete_invitation(current_session(), invitation_id=invitation_id)
    return see_other(url_for("people.list_people"), notice="The invitation is taken back.")


@blueprint.post("/people/<int:user_id>/disable")
async def disable(user_id: int) -> ResponseReturnValue:
    """Let a user sign in no more; not oneself, so that an administrator is always left."""
    if user_id == viewer().user_id:
        raise Conflict("you cannot disable yourself; another administrator can")
    await commands.disable_user(current_session(), user_id=user_id)
    return see_other(url_for("people.list_people"), notice="The account is disabled.")


@blueprint.post("/people/<int:user_id>/enable")
async def enable(user_id: int) -> ResponseReturnValue:
    """Let a user sign in again."""
    await repository.update_disabled(current_session(), user_id=user_id, disabled=False)
    return see_other(url_for("people.list_people"), notice="The account is enabled.")


async def _page(*, error: AppError | None = None, link: str | None = None, email: str = "") -> str:
    session = current_session()
    people = await repository.list_users(session)
    invitations = await repository.list_invitations(session)
    return await render(
        "accounts/people.html",
        people=people,
        invitations=invitations,
        error=error,
        link=link,
        email=email,
    )
