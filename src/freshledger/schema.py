"""Where the migrations are, and how a database is brought to the newest of them."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config


def migrations_folder() -> Path:
    """Return the migrations: inside the installed package, else at the top of the source tree."""
    package = Path(__file__).parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parents[1] / "migrations"


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for the database at `url` (postgresql://…)."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option(
        "file_template", "%%(year)d-%%(month).2d-%%(day).2d-%%(hour).2d%%(minute).2d_%%(slug)s"
    )
    config.attributes["url"] = url
    return config


async def upgrade(url: str) -> None:
    """Migrate the database at `url`; several programs may do it at once, one waits."""
    await asyncio.to_thread(command.upgrade, alembic_config(url), "head")
