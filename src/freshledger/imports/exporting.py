"""Writes what a filter lets in to a file: one snapshot, batch by batch, with flat memory.

It reads through the same list as the page, so that an export holds exactly what the page shows.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import IO

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.database import AnySelect
from freshledger.errors import Invalid
from freshledger.imports.formats.bip329 import to_line
from freshledger.imports.formats.own import csv_header, csv_line, json_line
from freshledger.imports.formats.records import Movement, ReferenceLabel
from freshledger.models import Contact, Head, Label, Transaction, TransactionLabel, Wallet
from freshledger.models import ReferenceLabel as Kept
from freshledger.transactions.conditions import LEDGER, conditions, parameters_of, shape_of
from freshledger.transactions.filters import Paging, TransactionFilter
from freshledger.transactions.lists import list_transactions
from freshledger.transactions.periods import Clock
from freshledger.transactions.rows import TransactionRow
from freshledger.transactions.values import NONE

BATCH = 5000

FORMATS = {
    "csv": ("CSV", "text/csv; charset=utf-8", "csv"),
    "jsonl": ("JSON Lines", "application/jsonl; charset=utf-8", "jsonl"),
    "bip329": ("Labels, BIP-329", "application/jsonl; charset=utf-8", "bip329.jsonl"),
}
"""The formats by name: title, media type, and the end of the file's name."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be exported; `clock` is that of whoever asked, for relative dates."""

    ledger_id: int
    format: str
    where: TransactionFilter
    clock: Clock


def check_format(name: str) -> str:
    """Return the name of an export's format; raises Invalid."""
    if name not in FORMATS:
        raise Invalid(f"format: must be one of {', '.join(FORMATS)}", field="format")
    return name


async def find_ids(
    session: AsyncSession, *, ledger_id: int, kind: str, names: Iterable[str]
) -> tuple[str, ...]:
    """Return the ids of wallets, contacts or labels by their names; `none` stays itself.

    Raises Invalid for a name that is not there.
    """
    model, ids = _NAMED[kind], []
    for name in names:
        same = func.lower(model.name) == func.lower(name)
        found = await session.scalar(select(model.id).where(model.ledger_id == ledger_id, same))
        if found is None and (kind == "wallet" or name != NONE):
            raise Invalid(f"{kind}: there is no {kind} named {name}", field=kind)
        ids.append(str(found or NONE))
    return tuple(ids)


_NAMED: dict[str, type[Wallet] | type[Contact] | type[Label]] = {
    "wallet": Wallet,
    "contact": Contact,
    "label": Label,
}


LONGEST, PAUSE = 3600, 300
"""Seconds that a long snapshot may stand, and that it may wait between two statements.

An old snapshot keeps every row version since, of all ledgers, which slows everybody down.
"""
# A transaction_timeout that runs already heeds only 0; what is set after that begins anew.
_BOUNDS = text("""
SELECT set_config(name, '0', true),
       set_config(name, CASE name WHEN 'idle_in_transaction_session_timeout' THEN :pause
                                   ELSE :longest END, true)
FROM pg_settings WHERE name IN
  ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')
""")


async def begin_snapshot(session: AsyncSession) -> None:
    """Make the session's reads one snapshot that may take its time."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    await session.connection(execution_options=options)
    await take_time(session)


async def take_time(session: AsyncSession) -> None:
    """Let the session's transaction take longer than a request's may, but not for ever.

    The server ends it after LONGEST seconds, before PostgreSQL 17 only a statement that lasts
    so long; and after a pause of PAUSE seconds, in which the file's disk may be slow.
    """
    await session.execute(_BOUNDS, {"longest": f"{LONGEST}s", "pause": f"{PAUSE}s"})


async def get_version(session: AsyncSession, *, ledger_id: int) -> int:
    """Return the ledger's version that the snapshot shows."""
    found = await session.execute(select(Head.version).where(Head.ledger_id == ledger_id))
    return found.scalar_one()


async def count_rows(session: AsyncSession, order: Order) -> int:
    """Return how many transactions the filter lets in."""
    rows = Transaction.__table__.alias("t")
    shape = shape_of(order.where)
    wanted = select(func.count()).select_from(rows)
    wanted = wanted.where(rows.c.ledger_id == LEDGER, *conditions(shape, rows))
    return (await session.execute(wanted, _parameters(order))).scalar_one()


async def write_parts(
    session: AsyncSession, order: Order, *, stream: IO[bytes]
) -> AsyncIterator[int]:
    """Write the export of the session's snapshot; yields how many lines there are so far."""
    done = 0
    async for part in _parts(session, order):
        lines = await asyncio.to_thread(list, part)
        await asyncio.to_thread(stream.write, "".join(lines).encode())
        done += len(lines)
        yield done


async def _parts(session: AsyncSession, order: Order) -> AsyncIterator[Iterable[str]]:
    if order.format == "bip329":
        async for references in _references(session, order):
            yield (to_line(reference) + "\n" for reference in references)
        return
    write = csv_line if order.format == "csv" else json_line
    if order.format == "csv":
        yield [csv_header()]
    async for rows in _rows(session, order):
        yield (write(_movement(row)) for row in rows)


async def _rows(session: AsyncSession, order: Order) -> AsyncIterator[tuple[TransactionRow, ...]]:
    cursor: str | None = None
    while True:
        page, _version = await list_transactions(
            session,
            ledger_id=order.ledger_id,
            where=order.where,
            clock=order.clock,
            paging=Paging(sort="time", limit=BATCH, cursor=cursor),
        )
        yield page.rows
        cursor = page.next
        if cursor is None:
            return


def _movement(row: TransactionRow) -> Movement:
    return Movement(
        line=0,
        identity=row.identity,
        group_key=row.group_key,
        occurred_at=row.occurred_at,
        type=row.type,
        status=row.status,
        asset=row.asset,
        amount=Decimal(row.amount),
        contract=row.contract,
        chain=row.chain,
        txid=row.txid,
        own_address=row.own_address,
        counterparty=row.counterparty,
        fiat_value=None if row.fiat_value is None else Decimal(row.fiat_value),
        fiat_currency=row.fiat_currency,
        note=row.note,
        labels=tuple(label.name for label in row.labels),
        wallet=row.wallet,
        contact=row.contact,
        occurrence=row.occurrence,
    )


async def _references(session: AsyncSession, order: Order) -> AsyncIterator[list[ReferenceLabel]]:
    """Yield the kept lines, then a line for every other label of the filter's transactions."""
    for statement in (_kept(order), _given(order)):
        found = await session.stream(statement, _parameters(order))
        async for rows in found.partitions(BATCH):
            yield [ReferenceLabel(line=0, **row._mapping) for row in rows]  # noqa: SLF001 - Row's public mapping


def _parameters(order: Order) -> dict[str, object]:
    return {"ledger": order.ledger_id, **parameters_of(order.where, order.clock)}


_LINE = [Kept.type, Kept.ref, Kept.label, Kept.origin, Kept.spendable, Kept.extra]
_T = Transaction.__table__.alias("t")


def _labelled(name: SQLColumnExpression[str | None]) -> ColumnElement[bool]:
    """Tell whether the transaction t wears the label of that name."""
    return exists().where(
        TransactionLabel.ledger_id == LEDGER,
        TransactionLabel.transaction_id == _T.c.id,
        Label.ledger_id == LEDGER,
        Label.id == TransactionLabel.label_id,
        func.lower(Label.name) == func.lower(name),
    )


def _kept(order: Order) -> AnySelect:
    """Select the kept lines; of a transaction that is here only the labels it still wears."""
    of_it = and_(_T.c.ledger_id == LEDGER, _T.c.txid == Kept.ref)
    matches = conditions(shape_of(order.where), _T)
    tied = exists().where(of_it, *matches, or_(Kept.label.is_(None), _labelled(Kept.label)))
    wanted = and_(Kept.type == "tx", tied.correlate(Kept))
    if not order.where.terms:
        unknown = ~exists().where(of_it).correlate(Kept)
        wanted = or_(wanted, Kept.type != "tx", unknown)
    return select(*_LINE).where(Kept.ledger_id == LEDGER, wanted).order_by(Kept.id)


def _given(order: Order) -> AnySelect:
    """Select the labels of transactions with an id of BIP-329's kind that no kept line says."""
    said = exists().where(
        Kept.ledger_id == LEDGER,
        Kept.type == "tx",
        Kept.ref == _T.c.txid,
        func.lower(Kept.label) == func.lower(Label.name),
    )
    return (
        select(literal("tx").label("type"), _T.c.txid.label("ref"), Label.name.label("label"))
        .join(
            TransactionLabel,
            and_(TransactionLabel.ledger_id == LEDGER, TransactionLabel.transaction_id == _T.c.id),
        )
        .join(Label, and_(Label.ledger_id == LEDGER, Label.id == TransactionLabel.label_id))
        .where(_T.c.ledger_id == LEDGER, _T.c.txid.regexp_match("^[0-9a-f]{64}$"), ~said)
        .where(*conditions(shape_of(order.where), _T))
        .distinct()
        .order_by(_T.c.txid, Label.name)
    )
