"""ledger: make ledgers and list them, from the machine that serves them."""

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from freshledger.accounts import repository as accounts
from freshledger.cli.base import command
from freshledger.database import AnyRow
from freshledger.ledgers import commands, repository
from freshledger.settings import Settings
from freshledger.startup import open_database


@command("create")
@click.argument("name")
@click.option("--owner", metavar="EMAIL", required=True, help="Who owns it; they have an account.")
async def create(settings: Settings, *, name: str, owner: str) -> None:
    """Make a ledger called NAME and print its id."""
    async with open_database(settings) as database, database.write.begin() as session:
        user = await accounts.get_user_by_email(session, email=owner)
        ledger_id = await commands.create_ledger(session, name=name, owner_id=user.id)
    click.echo(ledger_id)


@command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
async def list_(settings: Settings, *, as_json: bool) -> None:
    """List all ledgers: id, name, version, and how many rows each has."""
    async with open_database(settings) as database, database.read() as session:
        rows = await repository.list_ledgers(session)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_object(row) for row in rows])))
    else:
        Console().print(_table(rows))


def _object(row: AnyRow) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "archived": row.archived_at is not None,
        "counts": {name: getattr(row, name) for name in repository.COUNTED},
    }


def _table(rows: list[AnyRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("id", "name", "version", *repository.COUNTED):
        table.add_column(name, justify="left" if name == "name" else "right", overflow="fold")
    for row in rows:
        counts = (f"{getattr(row, name):,}" for name in repository.COUNTED)
        table.add_row(str(row.id), Text(row.name), f"{row.version:,}", *counts)
    return table


ledger = click.Group("ledger", commands=[create, list_], help="Make and list ledgers.")
