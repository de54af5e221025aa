"""The program's settings: one frozen value, made once, the only reader of os.environ."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import platformdirs

from freshledger.errors import Invalid

PREFIX = "FRESHLEDGER_"


def default_data_dir() -> Path:
    """Return the user's data folder; root's is one that PostgreSQL's user can reach."""
    if os.geteuid() == 0:
        return Path("/var/lib/freshledger")
    return platformdirs.user_data_path("freshledger")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set; times are seconds, sizes bytes.

    Each field is read from the environment as FRESHLEDGER_ and its name in capitals.
    `transaction_timeout` ends the snapshot of a reading request, where the server knows it
    (PostgreSQL 17). `database_url` (postgresql://…) points to a server of your own; without
    it the embedded PostgreSQL in `data_dir` is used.
    """

    data_dir: Path = msgspec.field(default_factory=default_data_dir)
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    pool_size: int = 10
    pool_timeout: float = 5.0
    statement_timeout: float = 30.0
    lock_timeout: float = 3.0
    idle_in_transaction_timeout: float = 30.0
    transaction_timeout: float = 60.0
    max_upload: int = 1024**3
    session_hours: int = 24 * 14
    testing: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **changes: Any) -> Self:  # noqa: ANN401 - any field's value
        """Read FRESHLEDGER_*; `changes` that are not None win. Raises Invalid naming the variable."""
        values: dict[str, Any] = {}
        for name in cls.__struct_fields__:
            if text := environ.get(PREFIX + name.upper()):
                values[name] = text
        values |= {name: value for name, value in changes.items() if value is not None}
        try:
            return msgspec.convert(values, cls, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise Invalid(f"settings: {error}; check the {PREFIX}* variables") from error


def _path(kind: type, value: Any) -> Path:  # noqa: ANN401 - msgspec's signature
    if kind is not Path:
        raise TypeError(kind)
    return Path(value).expanduser()
