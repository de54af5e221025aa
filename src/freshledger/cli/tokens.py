"""token: make API tokens, for scripts that set a freshledger up."""

import click

from freshledger.accounts import repository as accounts
from freshledger.cli.base import command
from freshledger.ledgers import commands
from freshledger.settings import Settings
from freshledger.startup import open_database


@command("create")
@click.option("--ledger", required=True, help="The name of the ledger, or its id.")
@click.option("--user", metavar="EMAIL", required=True, help="For whom it acts; a member of it.")
@click.option("--scope", type=click.Choice(commands.SCOPES), required=True, help="What it may do.")
@click.option("--name", default="command line", show_default=True, help="What will use it.")
@click.option(
    "--expires",
    metavar="DAYS",
    type=click.IntRange(1, commands.LONGEST_TOKEN_DAYS),
    help="Days for which it lasts; without it, it lasts until it is revoked.",
)
async def create(
    settings: Settings, *, ledger: str, user: str, scope: str, name: str, expires: int | None
) -> None:
    """Make a token and print it, alone, on standard output: nobody can read it again."""
    async with open_database(settings) as database, database.write.begin() as session:
        ledger_id = await commands.find_by_name(session, ledger=ledger)
        owner = await accounts.get_user_by_email(session, email=user)
        token = await commands.create_token(
            session, ledger_id=ledger_id, user_id=owner.id, name=name, scope=scope, days=expires
        )
    click.echo(token)


token = click.Group("token", commands=[create], help="Make API tokens for programs.")
