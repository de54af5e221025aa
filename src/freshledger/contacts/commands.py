"""What is done with contacts in more than one step."""

from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.contacts import books, repository
from freshledger.contacts.address_book import write_book
from freshledger.errors import Invalid, PreconditionFailed
from freshledger.merging import Seen
from freshledger.models import Contact


async def merge_contacts(session: AsyncSession, *, ledger_id: int, gone: int, kept: int) -> None:
    """Give contact `kept` all that `gone` has, its note too, and delete `gone`.

    Raises NotFound, and Invalid, field into, also where both notes together are too long.
    """
    await named.lock_pair(session, Contact, ledger_id=ledger_id, gone=gone, kept=kept)
    leaving = await repository.get_contact(session, ledger_id=ledger_id, contact_id=gone)
    staying = await repository.get_contact(session, ledger_id=ledger_id, contact_id=kept)
    note = staying.note
    if leaving.note not in note:
        note = f"{note}\n{leaving.note}".strip()
    if len(note) > named.MAX_NOTE:
        raise Invalid(
            f"into: the notes of both have more than {named.MAX_NOTE:,} characters together;"
            " shorten one of them first",
            field="into",
        )
    await repository.move_uses(session, ledger_id=ledger_id, gone=gone, kept=kept)
    await repository.delete_contact(session, ledger_id=ledger_id, contact_id=gone)
    await named.update_named(
        session, Contact, ledger_id=ledger_id, row_id=kept, seen=None, values={"note": note}
    )


async def delete_contact(
    session: AsyncSession,
    *,
    ledger_id: int,
    contact_id: int,
    seen: Seen | None = None,
    transactions: int | None = None,
) -> None:
    """Delete a contact; raises NotFound, PreconditionFailed.

    `transactions` is how many the caller saw, counted as get_contact does: with another
    number nothing is done.
    """
    await named.lock_named(session, Contact, ledger_id=ledger_id, row_id=contact_id)
    if transactions is not None:
        now = await repository.get_contact(session, ledger_id=ledger_id, contact_id=contact_id)
        if now.transactions != transactions:
            raise PreconditionFailed(
                "transactions: the number of its transactions has changed meanwhile; look at"
                " it as it is now, nothing was deleted",
                field="transactions",
            )
    await repository.delete_contact(session, ledger_id=ledger_id, contact_id=contact_id, seen=seen)


async def export_book(session: AsyncSession, *, ledger_id: int, kind: str) -> bytes:
    """Return all contacts' addresses as CSV in the form `kind`; raises Invalid for another."""
    known = await books.list_known(session, ledger_id=ledger_id)
    rows = [(address, name, network) for _, name, network, address in known if address and network]
    return b"".join(write_book(kind, rows))
