"""The files of an import: spooled, measured, and recognised by their content."""

import hashlib
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from freshledger.errors import Invalid
from freshledger.imports.formats import FORMATS, detect
from freshledger.imports.formats.records import Format, Options
from freshledger.settings import Settings

HEAD = 64 * 1024
"""Bytes that a format is recognised by."""

_PIECE = 1024 * 1024
_ABANDONED = 24 * 3600
"""Seconds after which an upload that no import names cannot still be arriving."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read: the name the user gave it, where it is, bytes, SHA-256."""

    name: str
    path: Path
    size: int
    digest: bytes


def uploads_folder(settings: Settings) -> Path:
    """Return where uploads wait until their import is committed or given up."""
    return settings.data_dir / "uploads"


def spool(settings: Settings, uploads: Sequence[tuple[str, IO[bytes]]]) -> tuple[str, list[Source]]:
    """Keep `uploads` in a folder of their own; returns its name and the files.

    Blocking, with flat memory: call it in a thread. Raises Invalid for a file that is larger
    than the settings allow, and leaves nothing behind then.
    """
    token = uuid4().hex
    folder = uploads_folder(settings) / token
    folder.mkdir(parents=True, mode=0o700)
    try:
        return token, [
            _spool_one(settings, folder / str(place), name, stream)
            for place, (name, stream) in enumerate(uploads)
        ]
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _spool_one(settings: Settings, path: Path, name: str, stream: IO[bytes]) -> Source:
    stream.seek(0)
    with path.open("xb") as copy:
        shutil.copyfileobj(stream, copy, _PIECE)
    return measure(settings, path, name)


def measure(settings: Settings, path: Path, name: str | None = None) -> Source:
    """Describe the file at `path`; raises Invalid if it is too large, OSError if unreadable."""
    size, shown = path.stat().st_size, clean_name(name or path.name)
    if size > settings.max_upload:
        raise Invalid(
            f"{shown} has {size:,} bytes; at most {settings.max_upload:,} are taken"
            " (FRESHLEDGER_MAX_UPLOAD): split the export into shorter periods",
            field="files",
        )
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
    return Source(shown, path, size, digest)


def spooled(settings: Settings, token: str, names: Sequence[str]) -> list[Source]:
    """Find an earlier spool's files again; raises Invalid if they are gone."""
    folder = uploads_folder(settings) / token
    if not token.isalnum() or not folder.is_dir():
        raise Invalid("the uploaded files are no longer here; choose them again", field="files")
    return [measure(settings, folder / str(place), name) for place, name in enumerate(names)]


def drop_spool(settings: Settings, token: str | None) -> None:
    """Remove a spool; one that is gone already is no error."""
    if token and token.isalnum():
        shutil.rmtree(uploads_folder(settings) / token, ignore_errors=True)


def drop_other_spools(settings: Settings, kept: set[str]) -> None:
    """Remove old spools that no import waits for any more."""
    if not uploads_folder(settings).is_dir():
        return
    for folder in uploads_folder(settings).iterdir():
        with suppress(FileNotFoundError):  # another process may do the same
            old = folder.stat().st_mtime < time.time() - _ABANDONED
            if folder.name not in kept and old:
                shutil.rmtree(folder, ignore_errors=True)


def clean_name(name: str) -> str:
    """Return a file's name as it can be shown: no folders, no control characters, short."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:200] or "file"


def find_format(source: Source, slug: str | None = None) -> Format:
    """Return the format called `slug`, or else the one that `source` looks like.

    Raises Invalid, naming the formats, where there is none such.
    """
    known = ", ".join(FORMATS)
    if slug:
        if slug not in FORMATS:
            raise Invalid(f"format: {slug[:40]!r} is not one of {known}", field="format")
        return FORMATS[slug]
    with source.path.open("rb") as stream:
        found = detect(stream.read(HEAD))
    if found is None:
        raise Invalid(
            f"{source.name}: this is none of the known formats ({known}); choose one, or check"
            " that it is the export itself and not a page or an archive around it",
            field="format",
        )
    return found


def missing_options(formats: Sequence[Format], options: Options) -> list[str]:
    """Name what the user must still say before these formats can be read."""
    return [
        name
        for name in ("address", "timezone", "chain")
        if getattr(options, name) is None and any(getattr(f, f"needs_{name}") for f in formats)
    ]
