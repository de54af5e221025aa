"""migration: for those who change the models. It works on a database of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from alembic import command as alembic
from alembic.config import Config
from alembic.util import CommandError

from freshledger.cli.base import command
from freshledger.embedded import EmbeddedServer
from freshledger.errors import AppError, Invalid
from freshledger.schema import alembic_config
from freshledger.settings import Settings


@contextmanager
def _migrated() -> Iterator[Config]:
    """Yield Alembic's configuration for a new database that has all migrations."""
    with TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        config = alembic_config(server.url)
        alembic.upgrade(config, "head")
        yield config


@command("new")
@click.argument("slug")
def new(_settings: Settings, slug: str) -> None:
    """Write a migration from the difference between the models and the migrations.

    SLUG names its one purpose, for example add_wallet_colour. Read the file before you keep it.
    """
    if not slug.isidentifier():
        raise Invalid("the slug is lower case words with underscores between them", field="slug")
    with _migrated() as config:
        alembic.revision(config, message=slug, autogenerate=True)


@command("check")
def check(_settings: Settings) -> None:
    """Fail if the models and the migrations differ."""
    with _migrated() as config:
        try:
            alembic.check(config)
        except CommandError as error:
            raise AppError(f"models and migrations differ: {error}") from error


migration = click.Group("migration", commands=[new, check], help="Write and check migrations.")
