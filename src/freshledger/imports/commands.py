"""What a user does with imports, up to the commit: stage, answer, discard, take back."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from freshledger.chains import normalize_address, parse_chain
from freshledger.database import AnyRow
from freshledger.errors import Conflict, Invalid
from freshledger.imports import repository, work
from freshledger.imports.committing import Key, delete_staged
from freshledger.imports.files import Source, drop_spool, find_format, missing_options, spooled
from freshledger.imports.formats.records import Format, Options
from freshledger.imports.reading import Place
from freshledger.imports.staging import (
    Report,
    ensure_wallet,
    insert_file,
    plan_for_many,
    stage_file,
    tell_equals_apart,
)
from freshledger.imports.work import READING, TAKING_BACK
from freshledger.models import Import
from freshledger.settings import Settings

ANSWERS = ("format", "address", "timezone", "chain")
"""What the user may say about the files; `format` overrules what they look like."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of one import, and where they go: a wallet by its name."""

    ledger_id: int
    user_id: int | None
    wallet: str
    sources: Sequence[Source]
    token: str | None = None


def parse_answers(values: Mapping[str, str | None]) -> dict[str, str]:
    """Return what was said in its stored form, empty answers left out; raises Invalid."""
    said = {name: (values.get(name) or "").strip() for name in ANSWERS}
    if said["address"]:
        said["address"] = normalize_address(said["address"])
    if said["chain"]:
        said["chain"] = parse_chain(said["chain"]).slug
    if said["timezone"]:
        _zone(said["timezone"])
    return {name: value for name, value in said.items() if value}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            f"timezone: {name[:40]!r} is not a time zone; an example is Europe/Berlin",
            field="timezone",
        ) from error


async def stage_import(
    session: AsyncSession, *, batch: Batch, answers: Mapping[str, str], report: Report
) -> int:
    """Stage files as one import; returns its id. Raises Invalid, and stages nothing then."""
    import_id = await open_import(session, batch=batch, answers=answers)
    key = Key(batch.ledger_id, import_id)
    await _stage(session, key, batch.sources, answers, report)
    await work.finish(session, key, READING, "staged")
    return import_id


async def open_import(session: AsyncSession, *, batch: Batch, answers: Mapping[str, str]) -> int:
    """Make an import whose files are to be read; raises Invalid."""
    if not batch.sources:
        raise Invalid("files: choose at least one file", field="files")
    wallet_id, made = await ensure_wallet(session, ledger_id=batch.ledger_id, name=batch.wallet)
    options = {
        "token": batch.token,
        "answers": answers,
        "made_wallets": [wallet_id] if made else [],
    }
    import_id = await repository.insert_import(
        session,
        ledger_id=batch.ledger_id,
        user_id=batch.user_id,
        wallet_id=wallet_id,
        status=READING.status,
        options=options,
    )
    for source in batch.sources:
        await insert_file(
            session, ledger_id=batch.ledger_id, import_id=import_id, source=source, slug=""
        )
    return import_id


async def answer_import(session: AsyncSession, *, key: Key, answers: Mapping[str, str]) -> None:
    """Let an import's files be read again with these answers; raises Conflict if it is too late."""
    where = asdict(key)
    found = await repository.get_import(session, **where)
    options = found.options | {"answers": answers, "problem": None}
    steps = {"staged": READING.status}
    await repository.move_import(session, **where, steps=steps, options=options, counts={})


async def read_spooled(session: AsyncSession, settings: Settings, *, key: Key) -> None:
    """Read an opened import's files, in place of what was read before.

    What is wrong or still to be answered is kept with the import, and nothing is staged then.
    Raises Cancelled if somebody cancels it meanwhile.
    """
    found = await repository.get_import(session, **asdict(key))
    await delete_staged(session, key)
    files = await repository.list_files(session, **asdict(key))
    names = [file.name for file in files]
    problem: dict[str, str | None] | None = None
    try:
        sources = await asyncio.to_thread(spooled, settings, found.options["token"] or "", names)
        async with session.begin_nested():
            answers = found.options["answers"]
            await _stage(session, key, sources, answers, lambda _done, _total: None)
    except Invalid as error:
        problem = {"message": error.message, "field": error.field}
        values = {"options": found.options | {"problem": problem}, "counts": {}}
        await repository.update_import(session, **asdict(key), **values)
    await work.finish(session, key, READING, "staged")


async def _stage(
    session: AsyncSession,
    key: Key,
    sources: Sequence[Source],
    answers: Mapping[str, str],
    report: Report,
) -> None:
    formats = [await asyncio.to_thread(find_format, s, answers.get("format")) for s in sources]
    options = _options(answers)
    if missing := missing_options(formats, options):
        raise Invalid(_QUESTIONS[missing[0]].format(title=formats[0].title), field=missing[0])
    found = await repository.get_import(session, ledger_id=key.ledger_id, import_id=key.import_id)
    made = await _read_files(
        session, key, found, list(zip(sources, formats, strict=True)), options, report
    )
    counts = await tell_equals_apart(session, ledger_id=key.ledger_id, import_id=key.import_id)
    await repository.update_import(
        session,
        ledger_id=key.ledger_id,
        import_id=key.import_id,
        counts=counts,
        options=found.options | {"made_wallets": [*found.options["made_wallets"], *made]},
    )


_QUESTIONS = {
    "address": "address: {title} files do not say whose they are; give the wallet's own address",
    "timezone": "timezone: {title} files hold local times without their zone; choose the zone of"
    " the computer that made them",
    "chain": "chain: {title} files do not say which chain they are of; choose it",
}


def _options(answers: Mapping[str, str]) -> Options:
    zone = answers.get("timezone")
    return Options(
        address=answers.get("address"),
        timezone=_zone(zone) if zone else None,
        chain=answers.get("chain"),
    )


async def _read_files(
    session: AsyncSession,
    key: Key,
    found: AnyRow,
    files: Sequence[tuple[Source, Format]],
    options: Options,
    report: Report,
) -> list[int]:
    await plan_for_many(session)
    noted = await repository.list_files(session, ledger_id=key.ledger_id, import_id=key.import_id)
    progress = _Progress(session, key, report, sum(source.size for source, _ in files))
    made: list[int] = []
    for (source, format_), file in zip(files, noted, strict=True):
        await repository.update_file(
            session, ledger_id=key.ledger_id, file_id=file.id, slug=format_.slug
        )
        place = Place(key.ledger_id, key.import_id, file.id, source.name, found.wallet_id)
        made += await stage_file(
            session,
            place=place,
            source=source,
            how=(format_, options),
            report=progress.tell,
        )
        progress.before += source.size
    return made


@dataclass(slots=True)
class _Progress:
    """How many bytes of `total` are read; `before` are those of the files before this one."""

    session: AsyncSession
    key: Key
    report: Report
    total: int
    before: int = 0

    async def tell(self, done: int) -> None:
        await work.show(self.session, self.key, READING, self.before + done, self.total)
        self.report(self.before + done, self.total)


async def discard_import(session: AsyncSession, settings: Settings, *, key: Key) -> None:
    """Forget an import that was not committed, its upload and the empty wallets it made."""
    found = await repository.get_import(session, ledger_id=key.ledger_id, import_id=key.import_id)
    if found.status != "staged":
        raise Conflict("only an import that has been read and not committed can be discarded")
    await repository.delete_import(session, ledger_id=key.ledger_id, import_id=key.import_id)
    await asyncio.to_thread(drop_spool, settings, found.options.get("token"))


async def cancel_import(session: AsyncSession, *, key: Key) -> None:
    """Stop to read, commit or take back an import; the ledger stays as it was before.

    The work sees it before its next part, whichever process does it.
    """
    await repository.move_import(
        session,
        **asdict(key),
        steps={"reading": "cancelled", "committing": "cancelled", "taking_back": "done"},
        finished_at=func.coalesce(Import.finished_at, func.now()),
    )


async def take_back_import(session: AsyncSession, *, key: Key) -> int:
    """Remove what only a claimed import brought, with labels and notes; returns how many movements.

    Raises Cancelled if somebody cancels it meanwhile.
    """
    where, removed, done = asdict(key), 0, 0
    await repository.take_back_lines(session, **where)
    parts = await repository.list_parts(session, **where)
    total = sum(part.rows for part in parts)
    for part in parts:
        await work.show(session, key, TAKING_BACK, done, total)
        removed += await repository.take_back_part(
            session, **where, first=part.first, last=part.last
        )
        done += part.rows
    found = await repository.get_import(session, **where)
    await work.finish(
        session, key, TAKING_BACK, "taken_back", counts=found.counts | {"removed": removed}
    )
    return removed
