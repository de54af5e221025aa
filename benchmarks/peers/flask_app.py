"""Flask with Flask-SQLAlchemy's paginate and psycopg, on gunicorn.

One worker of the kind gthread, which is gunicorn's for an app that waits for a database.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Response, abort, g, jsonify, render_template, request
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.pagination import Pagination
from sqlalchemy import Select, select

from benchmarks.peers import tables
from benchmarks.peers.tables import Label, Transaction, Wallet

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = tables.database_url("psycopg")
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": tables.CONNECTIONS}
db = SQLAlchemy(app)

TYPES = ("receive", "send", "trade", "transfer", "fee", "reward", "income", "mint", "burn", "other")
STATUSES = ("confirmed", "pending", "failed")


def authorized(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let only members of the ledger in: with a token, or the cookie of a browser's session."""

    @wraps(view)
    def checked(ledger_id: int) -> Any:  # noqa: ANN401 - a view's answer
        secret = request.cookies.get("freshledger")
        if secret:
            found = tables.find_session(ledger_id, secret)
        else:
            found = tables.find_token(ledger_id, request.headers.get("Authorization", ""))
        g.member = db.session.execute(found).one_or_none() or abort(401)
        return view(ledger_id)

    return checked


@app.get("/ledgers/<int:ledger_id>/transactions")
@authorized
def list_transactions(ledger_id: int) -> Response:
    """Answer with a page, and how many rows there are."""
    page = paginate(ledger_id, count=True)
    rows = [shown(row) for row in page.items]
    return jsonify(
        version=g.member.version, transactions=rows, total=page.total, pages=page.pages,
        page=page.page, has_next=page.has_next,
    )  # fmt: skip


@app.get("/ledgers/<int:ledger_id>/newest")
@authorized
def list_newest(ledger_id: int) -> Response:
    """Answer with a page; the rows are not counted."""
    page = paginate(ledger_id, count=False)
    rows = [shown(row) for row in page.items]
    return jsonify(version=g.member.version, transactions=rows, page=page.page)


@app.get("/ledgers/<int:ledger_id>/page")
@authorized
def show_transactions(ledger_id: int) -> str:
    """Show a page with its number of rows."""
    return render_template(
        "transactions.html", page=paginate(ledger_id, count=True), **around(ledger_id)
    )


@app.get("/ledgers/<int:ledger_id>/newest-page")
@authorized
def show_newest(ledger_id: int) -> str:
    """Show a page; the rows are not counted."""
    return render_template(
        "transactions.html", page=paginate(ledger_id, count=False), **around(ledger_id)
    )


def paginate(ledger_id: int, *, count: bool) -> Pagination:
    """Return the page that the address asks for, with all names."""
    return db.paginate(
        filtered(ledger_id).order_by(*tables.NEWEST).options(*tables.NAMES),
        per_page=tables.ROWS,
        count=count,
    )


def filtered(ledger_id: int) -> Select[tuple[Transaction]]:
    """Select what the address filters by."""
    rows = select(Transaction).where(Transaction.ledger_id == ledger_id)
    for name in ("asset", "type", "status", "chain", "wallet_id"):
        if value := request.args.get(name):
            rows = rows.where(getattr(Transaction, name) == value)
    if label := request.args.get("label_id", type=int):
        rows = rows.where(Transaction.labels.any(Label.id == label))
    return rows


def around(ledger_id: int) -> dict[str, Any]:
    """Return what the filter form offers."""
    named = {
        model.__tablename__: db.session.scalars(
            select(model).where(model.ledger_id == ledger_id).order_by(model.name)
        ).all()
        for model in (Wallet, Label)
    }
    return named | {"types": TYPES, "statuses": STATUSES, "ledger_id": ledger_id}


def shown(row: Transaction) -> dict[str, Any]:
    """Return what is answered of a row."""
    contact = row.contact
    return {
        "id": row.id,
        "wallet": row.wallet.name,
        "wallet_id": row.wallet_id,
        "own_address": row.own_address,
        "chain": row.chain,
        "txid": row.txid,
        "group_key": row.group_key,
        "occurred_at": row.occurred_at.isoformat(),
        "type": row.type,
        "status": row.status,
        "asset": row.asset,
        "contract": row.contract,
        "amount": row.amount,
        "counterparty": row.counterparty,
        "contact": contact.name if contact else None,
        "contact_id": contact.id if contact else None,
        "contact_by_hand": row.contact_id is not None,
        "labels": [{"id": tag.id, "name": tag.name, "color": tag.color} for tag in row.labels],
        "note": row.note,
        "fiat_value": row.fiat_value,
        "fiat_currency": row.fiat_currency,
        "hand_edited": row.hand_edited,
        "version": row.version,
    }
