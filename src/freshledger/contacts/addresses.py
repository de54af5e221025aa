"""The SQL of contacts' addresses: each belongs to one contact in its network."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.chains import NETWORKS, normalize_address_in
from freshledger.contacts.repository import of_contact
from freshledger.errors import Conflict, Invalid, NotFound
from freshledger.models import Contact, ContactAddress


async def insert_contact_address(
    session: AsyncSession, *, ledger_id: int, contact_id: int, network: str, address: str
) -> int:
    """Give the contact one more address and return its id.

    Raises Invalid, NotFound, or a Conflict that names the contact which has it already.
    """
    if network not in NETWORKS:
        raise Invalid(f"network: must be one of {', '.join(NETWORKS)}", field="network")
    stored = normalize_address_in(network, address)
    await named.hold_named(session, Contact, ledger_id=ledger_id, row_id=contact_id)
    values = {"contact_id": contact_id, "network": network, "address": stored}
    statement = insert(ContactAddress).values(ledger_id=ledger_id, **values)
    statement = statement.on_conflict_do_nothing()
    made = (await session.execute(statement.returning(ContactAddress.id))).scalar_one_or_none()
    if made is None:
        raise await _taken(session, ledger_id, contact_id, network, stored)
    return made


async def delete_contact_address(
    session: AsyncSession, *, ledger_id: int, contact_id: int, address_id: int
) -> None:
    """Take an address away from the contact; raises NotFound."""
    if max(contact_id, address_id) > named.MAX_ID:
        raise NotFound("this contact has no such address")
    statement = delete(ContactAddress).where(
        ContactAddress.ledger_id == ledger_id,
        ContactAddress.contact_id == contact_id,
        ContactAddress.id == address_id,
    )
    if (await session.execute(statement.returning(ContactAddress.id))).first() is None:
        raise NotFound("this contact has no such address")


async def _taken(
    session: AsyncSession, ledger_id: int, contact_id: int, network: str, address: str
) -> Conflict:
    query = (
        select(Contact.id, Contact.name)
        .join(ContactAddress, of_contact())
        .where(
            ContactAddress.ledger_id == ledger_id,
            ContactAddress.address == address,
            ContactAddress.network == network,
        )
    )
    there = (await session.execute(query)).one_or_none()
    if there is None or there.id == contact_id:
        owner = "this contact has it already"
    else:
        owner = f"the contact “{there.name}” has it already"
    return Conflict(f"address: {owner} ({NETWORKS[network]})", field="address")
