"""Labels for programs; the same functions serve the pages."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue
from quart_schema import (
    document_headers,
    document_querystring,
    document_request,
    document_response,
    tag_blueprint,
)

from freshledger import named
from freshledger.labels import commands, repository
from freshledger.labels.repository import LabelRow
from freshledger.web.api import json_response, read_body
from freshledger.web.preconditions import IfMatch, if_match, telling
from freshledger.web.session import current_session

blueprint = Blueprint("labels_api", __name__, url_prefix="/api/v1/ledgers/<int:ledger_id>/labels")
tag_blueprint(blueprint, ["labels"])

Id = Annotated[int, Meta(ge=1, le=named.MAX_ID)]


class LabelQuery(msgspec.Struct):
    """`q` is a part of the name, whatever its case."""

    q: str = ""


class LabelsOut(msgspec.Struct):
    """All labels by name, at the ledger's `version`."""

    version: int
    labels: list[LabelRow]


class LabelIn(msgspec.Struct, forbid_unknown_fields=True):
    """A new label; without `color` it is given one."""

    name: str
    color: str | None = None


class LabelChangeIn(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    name: str | UnsetType = UNSET
    color: str | UnsetType = UNSET


class LabelMergeIn(msgspec.Struct, forbid_unknown_fields=True):
    """The id of the label that stays."""

    into: Id


@blueprint.get("")
@document_querystring(LabelQuery)
@document_response(LabelsOut)
async def list_labels(ledger_id: int) -> ResponseReturnValue:
    """List labels with the number of transactions that wear them."""
    q = request.args.get("q", "").strip()
    session = current_session()
    labels = await repository.list_labels(session, ledger_id=ledger_id, q=q)
    version = await named.ledger_version(session, ledger_id=ledger_id)
    return json_response(LabelsOut(version, list(labels)))


@blueprint.post("")
@document_request(LabelIn)
@document_response(LabelRow, 201)
async def create_label(ledger_id: int) -> ResponseReturnValue:
    """Make a label."""
    body = await read_body(LabelIn)
    label_id = await repository.insert_label(
        current_session(), ledger_id=ledger_id, name=body.name, color=body.color
    )
    response = await _one(ledger_id, label_id, 201)
    response.headers["Location"] = f"{request.path}/{label_id}"
    return response


@blueprint.get("/<int:label_id>")
@document_response(LabelRow)
async def get_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Show one label."""
    return await _one(ledger_id, label_id)


@blueprint.patch("/<int:label_id>")
@document_headers(IfMatch)
@document_request(LabelChangeIn)
@document_response(LabelRow)
async def change_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Rename or recolour a label."""
    body, seen = await read_body(LabelChangeIn), if_match()
    async with telling(_current(ledger_id, label_id)):
        await repository.update_label(
            current_session(),
            ledger_id=ledger_id,
            label_id=label_id,
            name=None if body.name is UNSET else body.name,
            color=None if body.color is UNSET else body.color,
            seen=seen,
        )
    return await _one(ledger_id, label_id)


@blueprint.delete("/<int:label_id>")
@document_headers(IfMatch)
async def delete_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Delete a label, and take it off every transaction."""
    seen = if_match()
    async with telling(_current(ledger_id, label_id)):
        await repository.delete_label(
            current_session(), ledger_id=ledger_id, label_id=label_id, seen=seen
        )
    return Response(status=204)


@blueprint.post("/<int:label_id>/merge")
@document_request(LabelMergeIn)
@document_response(LabelRow)
async def merge_label(ledger_id: int, label_id: int) -> ResponseReturnValue:
    """Put another label wherever this one is, and delete this one; answers with the other."""
    body = await read_body(LabelMergeIn)
    await commands.merge_labels(
        current_session(), ledger_id=ledger_id, gone=label_id, kept=body.into
    )
    return await _one(ledger_id, body.into)


def _current(ledger_id: int, label_id: int) -> Callable[[], Awaitable[LabelRow]]:
    return lambda: repository.get_label(current_session(), ledger_id=ledger_id, label_id=label_id)


async def _one(ledger_id: int, label_id: int, status: int = 200) -> Response:
    label = await repository.get_label(current_session(), ledger_id=ledger_id, label_id=label_id)
    return json_response(label, status)
