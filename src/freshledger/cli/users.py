"""user: the accounts of a freshledger, from its own machine."""

import sys

import click

from freshledger.accounts import commands, repository
from freshledger.cli.base import command
from freshledger.errors import Invalid
from freshledger.settings import Settings
from freshledger.startup import open_database

password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)


@command("create")
@click.argument("email")
@password_option
@click.option("--name", default="", help="Shown to those they share ledgers with.")
@click.option("--admin", is_flag=True, help="They may invite and disable people.")
async def create(
    settings: Settings, *, email: str, password_stdin: bool, name: str, admin: bool
) -> None:
    """Make an account for EMAIL; its password is asked for, twice, or read with --password-stdin."""
    password = _read_password(from_stdin=password_stdin)
    async with open_database(settings) as database, database.write.begin() as session:
        await commands.create_user(
            session, email=email, name=name, password=password, is_admin=admin
        )
    click.echo(f"made an account for {email}", err=True)


@command("password")
@click.argument("email")
@password_option
async def password(settings: Settings, *, email: str, password_stdin: bool) -> None:
    """Set the password of EMAIL and sign them out everywhere."""
    new = _read_password(from_stdin=password_stdin)
    async with open_database(settings) as database, database.write.begin() as session:
        user = await repository.get_user_by_email(session, email=email)
        await commands.change_password(session, user_id=user.id, password=new)
    click.echo(f"{email} has a new password", err=True)


@command("disable")
@click.argument("email")
async def disable(settings: Settings, *, email: str) -> None:
    """Let EMAIL sign in no more: their sessions and tokens end at once. Their data stays."""
    async with open_database(settings) as database, database.write.begin() as session:
        user = await repository.get_user_by_email(session, email=email)
        await commands.disable_user(session, user_id=user.id)
    click.echo(f"{email} is disabled", err=True)


@command("enable")
@click.argument("email")
async def enable(settings: Settings, *, email: str) -> None:
    """Let EMAIL sign in again."""
    async with open_database(settings) as database, database.write.begin() as session:
        user = await repository.get_user_by_email(session, email=email)
        await repository.update_disabled(session, user_id=user.id, disabled=False)
    click.echo(f"{email} is enabled", err=True)


def _read_password(*, from_stdin: bool) -> str:
    if not from_stdin:
        if not sys.stdin.isatty():
            raise Invalid("no terminal to ask for the password; pipe it with --password-stdin")
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Invalid("the password on standard input is not UTF-8", field="password") from error


user = click.Group(
    "user", commands=[create, password, disable, enable], help="Make and change accounts."
)
