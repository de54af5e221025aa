"""An address book into a ledger: what would be done, then all of it or nothing.

The file's names win: an address that is known under another name renames its contact, unless
another contact has that name already, which a person must decide (merge them, or move the
address). Contacts and addresses that the file does not mention stay.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.contacts import books, repository
from freshledger.contacts.address_book import Book, Entry, Problem
from freshledger.errors import Invalid


class Addition(msgspec.Struct, frozen=True):
    """An address that is added; `contact_id` is None where its contact is made for it."""

    entry: Entry
    contact_id: int | None


class Renaming(msgspec.Struct, frozen=True):
    """A contact that gets the file's name; its other addresses then have that name too."""

    entry: Entry
    contact_id: int
    before: str


class Plan(msgspec.Struct, frozen=True):
    """What an import will do; `there` are lines that change nothing."""

    format: str
    added: tuple[Addition, ...]
    renamed: tuple[Renaming, ...]
    there: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    @property
    def changes(self) -> int:
        """How many addresses and names it changes."""
        return len(self.added) + len(self.renamed)


Place = tuple[str, str]
"""A network and an address in it."""


class _State:
    """Contacts by name, whatever its case, and by address, as they will be."""

    def __init__(self, known: Iterable[books.Known], entries: Iterable[Entry]) -> None:
        self.ids: dict[str, int | None] = {}
        self.names: dict[int, str] = {}
        self.owners: dict[Place, int | None] = {}
        for contact_id, name, network, address in known:
            self.ids[name.lower()] = contact_id
            self.names[contact_id] = name
            if network and address:
                self.owners[network, address] = contact_id
        self.said: dict[int, set[str]] = defaultdict(set)
        for entry in entries:
            if (owner := self.owners.get(_place(entry))) is not None:
                self.said[owner].add(entry.name.lower())


async def plan_import(session: AsyncSession, *, ledger_id: int, book: Book) -> Plan:
    """Compare a file with the ledger's contacts; changes nothing."""
    entries, problems = _consistent(book)
    state = _State(await books.list_known(session, ledger_id=ledger_id), entries)
    # Known addresses first: a contact that is renamed takes the new addresses of its new name.
    known, new = _split(entries, state)
    found: dict[type, list[Any]] = defaultdict(list)
    verdicts = [_judge(entry, state) for entry in known] + [_add(entry, state) for entry in new]
    for verdict in verdicts:
        found[type(verdict)].append(verdict)
    problems += found[Problem]
    return Plan(
        book.format,
        tuple(found[Addition]),
        tuple(found[Renaming]),
        tuple(found[Entry]),
        tuple(sorted(problems, key=lambda problem: problem.line)),
    )


async def import_book(
    session: AsyncSession, *, ledger_id: int, book: Book, without_problems: bool = False
) -> Plan:
    """Do what the plan says; raises Invalid if there are problems that are not to be left out."""
    await books.lock_contacts(session, ledger_id=ledger_id)
    plan = await plan_import(session, ledger_id=ledger_id, book=book)
    if plan.problems and not without_problems:
        first = plan.problems[0]
        raise Invalid(f"file: line {first.line}: {first.message}; nothing imported", field="file")
    for renaming in plan.renamed:
        await repository.update_contact(
            session,
            ledger_id=ledger_id,
            contact_id=renaming.contact_id,
            name=renaming.entry.name,
        )
    missing = {
        addition.entry.name.lower(): addition.entry.name
        for addition in plan.added
        if addition.contact_id is None
    }
    made = await books.insert_contacts(session, ledger_id=ledger_id, names=tuple(missing.values()))
    rows = [
        (
            addition.contact_id or made[missing[addition.entry.name.lower()]],
            addition.entry.network,
            addition.entry.address,
        )
        for addition in plan.added
    ]
    await books.insert_addresses(session, ledger_id=ledger_id, rows=rows)
    return plan


def _place(entry: Entry) -> Place:
    return entry.network, entry.address


def _consistent(book: Book) -> tuple[list[Entry], list[Problem]]:
    """Set lines apart that give an address another name than an earlier line."""
    first: dict[Place, Entry] = {}
    entries, problems = [], list(book.problems)
    for entry in book.entries:
        before = first.setdefault(_place(entry), entry)
        if before.name.lower() == entry.name.lower():
            entries.append(entry)
        else:
            message = f"line {before.line} names the same address “{before.name}”"
            problems.append(Problem(entry.line, message))
    return entries, problems


def _split(entries: list[Entry], state: _State) -> tuple[list[Entry], list[Entry]]:
    known = [entry for entry in entries if _place(entry) in state.owners]
    return known, [entry for entry in entries if _place(entry) not in state.owners]


def _judge(entry: Entry, state: _State) -> Renaming | Entry | Problem:
    """Say what becomes of an address that some contact has."""
    owner = state.owners[_place(entry)]
    if owner is None or state.names[owner].lower() == entry.name.lower():
        return entry
    before, key = state.names[owner], entry.name.lower()
    if len(state.said[owner]) > 1:
        return Problem(
            entry.line,
            f"the address belongs to “{before}”, whose addresses have several names in this"
            " file: take it away from that contact first",
        )
    if key in state.ids:
        return Problem(
            entry.line,
            f"the address belongs to “{before}”, and “{entry.name}” is another contact: merge"
            " the two, or take the address away from the first",
        )
    del state.ids[before.lower()]
    state.ids[key], state.names[owner] = owner, entry.name
    return Renaming(entry, owner, before)


def _add(entry: Entry, state: _State) -> Addition | Entry:
    """Say which contact gets a new address; a line that says so again changes nothing."""
    if _place(entry) in state.owners:
        return entry
    contact_id = state.ids.setdefault(entry.name.lower(), None)
    state.owners[_place(entry)] = contact_id
    return Addition(entry, contact_id)
