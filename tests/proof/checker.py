"""What of a history cannot be, by the contract's rules: pure, O(n log n), told in sentences.

A history is the records of all clients and the truth: what the database noted of every
version. Each rule is a function that yields what breaks it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from proof.records import Record, field_of
from proof.truth import Step, Truth

EDITS = frozenset({"edit", "label", "bulk", "create", "delete", "foreign"})
READS = frozenset({"api", "row", "totals", "page", "block", "not_modified"})
Timed = list[tuple[Record, int]]
"""Operations with the version they made or showed."""

SOME = 5
"""How many sentences a report has of each rule."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What cannot be: the rule's name, and a sentence that names the operations."""

    rule: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.sentence}"


@dataclass(frozen=True)
class History:
    """The records of all clients beside what the database noted."""

    records: tuple[Record, ...]
    truth: Truth

    @cached_property
    def writes(self) -> list[Record]:
        return [one for one in self.records if one.kind in EDITS]

    @cached_property
    def acknowledged(self) -> Timed:
        """Writes that were acknowledged, with the version that has the last of their effects."""
        made = ((one, self.version_of(one)) for one in self.writes if one.outcome == "ok")
        return [(one, version) for one, version in made if version]

    @cached_property
    def reads(self) -> Timed:
        """Answers that showed the ledger, with the version they said."""
        return [
            (one, one.shown.version)
            for one in self.records
            if one.kind in READS and one.outcome == "ok" and one.shown
        ]

    @cached_property
    def shown(self) -> Timed:
        """The reads, and what live pages showed in the end, which is no answer to anybody."""
        settled = [one for one in self.records if one.kind == "settled" and one.shown]
        return self.reads + [(one, one.shown.version) for one in settled if one.shown]

    @cached_property
    def told(self) -> Timed:
        """Events that told of a version."""
        return [(one, one.told.version) for one in self.records if one.told]

    @cached_property
    def writer_of(self) -> dict[int, Record]:
        """Which client's write made a version."""
        found = {}
        for one in self.writes:
            for effect in one.effects:
                found.update(dict.fromkeys(self.truth.made.get(effect, ()), one))
        return found

    def version_of(self, write: Record) -> int | None:
        """The version that a write made, None where nothing of it is there."""
        return max(
            (self.truth.made[effect][0] for effect in write.effects if effect in self.truth.made),
            default=None,
        )


Rule = Callable[[History], Iterator[Violation]]


def check(records: Iterable[Record], truth: Truth, rules: Iterable[Rule] = ()) -> list[Violation]:
    """Return all that breaks a rule; `rules` are all of them unless some are named."""
    history = History(tuple(records), truth)
    return [found for rule in rules or RULES for found in rule(history)]


def report(found: list[Violation]) -> str:
    """Say how often each rule is broken, with some of the sentences."""
    lines = []
    for rule, number in Counter(one.rule for one in found).items():
        lines.append(f"{rule}: {number}")
        lines += [f"  {one.sentence}" for one in found if one.rule == rule][:SOME]
    return "\n".join(lines)


def no_stale_read(history: History) -> Iterator[Violation]:
    """Every read shows every write that was acknowledged before the read began."""
    for (read, shown), (write, made) in _preceded(history.reads, history.acknowledged):
        if shown < made:
            yield Violation(
                "stale read", f"{read} began after version {made} was acknowledged to {write}"
            )


def monotonic(history: History) -> Iterator[Violation]:
    """What one client was shown, no client is shown an older state than, from then on."""
    for (read, shown), (earlier, before) in _preceded(history.reads, history.reads):
        if shown < before:
            yield Violation("not monotonic", f"{read} shows less than {earlier} before it")


def events_follow_commits(history: History) -> Iterator[Violation]:
    """When an event arrives, its version can be read."""
    for (read, shown), (event, told) in _preceded(history.reads, history.told):
        if shown < told:
            yield Violation("event before commit", f"{read} shows less than {event} told before it")


def versions_in_order(history: History) -> Iterator[Violation]:
    """A write that begins when another is acknowledged has a later version."""
    for (write, made), (earlier, before) in _preceded(history.acknowledged, history.acknowledged):
        if made <= before:
            yield Violation("write order", f"{write} made {made}; {earlier} made {before} before")


def nothing_from_nowhere(history: History) -> Iterator[Violation]:
    """A version that is shown or told exists, and its write had begun."""
    for one, version in history.reads + history.told:
        if version > history.truth.last:
            yield Violation("ghost", f"{one} shows a version after the last, {history.truth.last}")
        writer = history.writer_of.get(version)
        if writer and writer.invoked > one.returned:
            yield Violation("ghost", f"{one} shows what {writer} had not begun to do")


def whole_pages(history: History) -> Iterator[Violation]:
    """What an answer shows is exactly the version it says: rows, count and sums."""
    for one, version in history.shown:
        if version <= history.truth.last:
            yield from _content(history.truth, one, version)


def no_lost_edit(history: History) -> Iterator[Violation]:
    """An acknowledged write is in the record, whole, on the version it named."""
    for write in history.writes:
        versions = [history.truth.made.get(effect, []) for effect in write.effects]
        if write.outcome == "ok" and not all(versions):
            yield Violation("lost edit", f"{write} was acknowledged and is not in the record")
        elif write.outcome == "left" and not all(versions):
            yield Violation("abandoned edit", f"{write} was given up because its client left")
        elif write.outcome == "fail" and any(versions):
            yield Violation("refused edit", f"{write} was refused and is in the record")
        elif any(versions) and (not all(versions) or len({at[0] for at in versions if at}) > 1):
            yield Violation("torn edit", f"{write} is in the record in parts")
        if write.outcome == "ok" and all(versions) and write.row is not None:
            yield from _base(history.truth, write, versions[0][0])


def done_once(history: History) -> Iterator[Violation]:
    """A write is done once, however often it was sent, and always answered in the same way."""
    for write in history.writes:
        if any(len(history.truth.made.get(effect, ())) > 1 for effect in write.effects):
            yield Violation("done twice", f"{write} is in the record more than once")
        if write.same_again is False:
            yield Violation("done twice", f"{write} was sent again, and answered otherwise")


def events_chain(history: History) -> Iterator[Violation]:
    """The events of a stream leave no version out, and tell what the record has."""
    streams: dict[tuple[str, str, int], Record] = {}
    for event in history.records:
        if event.told is None:
            continue
        told, stream = event.told, (event.process, event.client, event.told.stream)
        before = streams.get(stream)
        known = before.told.version if before and before.told else told.asked
        begins = told.since if told.name == "change" else told.version
        if known is not None and begins != known and (told.name != "resync" or before):
            follows = f"follows {before}" if before else "was asked for otherwise"
            yield Violation("gap in events", f"{event} begins at {begins}; it {follows} at {known}")
        if told.name == "change":
            yield from _told(history.truth, event)
        streams[stream] = event


def streams_begin_now(history: History) -> Iterator[Violation]:
    """The first event of a stream knows of every write that was acknowledged before it."""
    first = [(event, told) for event, told in history.told if event.told and event.told.first]
    for (event, told), (write, made) in _preceded(first, history.acknowledged):
        if told < made:
            yield Violation(
                "stale stream", f"{event} was asked for after {made} was acknowledged to {write}"
            )


def live_pages_converge(history: History) -> Iterator[Violation]:
    """In the end a page that nobody reloads shows the last version."""
    for one in history.records:
        if one.kind == "settled" and (one.shown is None or one.shown.version < history.truth.last):
            yield Violation("not converged", f"{one} is not at the last, {history.truth.last}")


RULES: tuple[Rule, ...] = (
    no_stale_read,
    monotonic,
    events_follow_commits,
    versions_in_order,
    nothing_from_nowhere,
    whole_pages,
    no_lost_edit,
    done_once,
    events_chain,
    streams_begin_now,
    live_pages_converge,
)


def _preceded(
    later: Timed, earlier: Timed
) -> Iterator[tuple[tuple[Record, int], tuple[Record, int]]]:
    """Yield each of `later` with the newest version among what had ended when it began."""
    ended = sorted(earlier, key=lambda timed: timed[0].returned)
    newest, place = None, 0
    for one in sorted(later, key=lambda timed: timed[0].invoked):
        while place < len(ended) and ended[place][0].returned < one[0].invoked:
            if newest is None or ended[place][1] > newest[1]:
                newest = ended[place]
            place += 1
        if newest:
            yield one, newest


def _content(truth: Truth, read: Record, version: int) -> Iterator[Violation]:
    """Compare an answer with the version it says; tell what never was from what was not then."""
    shown, (count, sums) = read.shown, truth.sums[version]
    assert shown
    for identifier, row in shown.rows.items():
        if row == truth.row(identifier, version):
            continue
        was = truth.versions_showing(identifier, row)
        if not was:
            yield Violation("ghost", f"{read} shows movement {identifier} as it never was: {row}")
        else:
            yield Violation("fractured page", f"{read} shows movement {identifier} of {was[-1]}")
    if shown.whole and len(shown.rows) != count:
        yield Violation("fractured page", f"{read} shows {len(shown.rows)} movements of {count}")
    if shown.count is not None and shown.count != count:
        yield Violation("fractured page", f"{read} counts {shown.count} movements of {count}")
    if shown.sums is not None and shown.sums != sums:
        yield Violation("fractured page", f"{read} sums {shown.sums}; they were {sums}")


def _base(truth: Truth, write: Record, version: int) -> Iterator[Violation]:
    """Look whether an edit was made on the version it named, or on one with the same value."""
    assert write.row is not None
    steps = truth.steps.get(write.row, [])
    columns = {field_of(effect) for effect in write.effects}
    made = next(
        (step for step in steps if step.version == version and step.old.keys() & columns), None
    )
    if made is None:
        return
    if write.base is not None and made.before != write.base:
        between = [one for one in steps if write.base < one.after <= made.before]
        over = [
            one for column in columns & made.old.keys() for one in _replaced(between, made, column)
        ]
        if over or made.before < write.base:
            yield Violation("lost edit", _overwrites(write, made, over))
    if write.answered is not None and write.answered != made.after:
        yield Violation(
            "ghost", f"{write} was answered row version {write.answered}; it made {made.after}"
        )


def _replaced(between: list[Step], made: Step, column: str) -> list[Step]:
    """The steps whose value `made` replaced unseen; none where it is again what it was at first."""
    over = [one for one in between if column in one.old]
    return over if over and over[0].old[column] != made.old[column] else []


def _overwrites(write: Record, made: Step, over: list[Step]) -> str:
    lost = ", ".join(str(one.version) for one in over)
    return (
        f"{write} named row version {write.base} and was made on {made.before}, over the changes"
        f" of version {lost}"
    )


def _told(truth: Truth, event: Record) -> Iterator[Violation]:
    """Compare what an event tells with the record of the versions it covers."""
    told = event.told
    assert told
    if told.since is None or told.version > truth.last:
        return
    covered = range(told.since + 1, told.version + 1)
    if not covered:
        yield Violation("gap in events", f"{event} is a change of nothing")
    noted = {change for version in covered for change in truth.changes[version]}
    for change in set(told.changes) ^ noted:
        where = "tells what the record has not" if change in told.changes else "leaves out"
        yield Violation("gap in events", f"{event} {where}: {change}")
