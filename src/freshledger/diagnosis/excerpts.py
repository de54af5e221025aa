"""What the documents show of single experiments: the copies at each look, SQL, code, steps."""

import inspect
import textwrap

from freshledger.diagnosis import policy
from freshledger.diagnosis.book import SIGNS, Book, tabulate, wrap
from freshledger.diagnosis.looks import SEEN, Look
from freshledger.diagnosis.matrix import Row
from freshledger.diagnosis.policy import Seen, Step
from freshledger.diagnosis.tables import AFTER, Rows

WIDTH = 100
ACTS = {
    "expire_all": "`expire_all()` on its session",
    "remove": "`remove()` on its session",
    "view": "both, on `db.session` in the view",
    "elsewhere": "both, in another thread",
    "same": "another function, same session",
    "own": "another function, own session",
    "time": "waiting",
    "process": "a new process",
}
ENGINES = {
    "postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite",
    "replicated": "PostgreSQL with a streaming replica",
}  # fmt: skip


def cause(book: Book, name: str) -> str:
    """Show what was observed of one cause: its cells, and the three copies at each look."""
    row = book.row(name)
    if not row.cells:
        return wrap(book.say("Not run here. {reason}").format(reason=book.say(row.not_run)))
    assert row.stale is not None  # noqa: S101 - what was observed has a stale look
    parts = [_seen(book, row, row.stale), _looks(book, row, row.stale)]
    parts += [
        wrap(f"{book.say(ACTS[name])}: {book.say(cell.reason)}.")
        for name, cell in row.cells.items()
        if cell.value == "not observable"
    ]
    if row.stale.sent:
        parts.append(_sql(row.stale))
    return "\n\n".join(parts)


def _seen(book: Book, row: Row, stale: Look) -> str:
    seen = {name: row.cells[name].value == "yes" for name in SEEN}
    said = [
        book.say("the new row is missing" if seen["missing"] else "the new row is there"),
        book.say("an old value is shown" if seen["old"] else "no old value is shown"),
    ]
    if not stale.answered:
        said.append(book.say("the request does not reach the application"))
    elif seen["select"]:
        said.append(book.say("a SELECT is sent"))
    else:
        said.append(book.say("no SELECT of the table is sent"))
    return wrap(f"{book.say(ENGINES[row.engine])}: {'; '.join(said)}.")


def _looks(book: Book, row: Row, stale: Look) -> str:
    rows = [[book.say("the stale page"), "", *_copies(book, stale)]]
    for name, act in ACTS.items():
        cell = row.cells[name]
        copies = _copies(book, cell.after) if cell.after else ("", "", "")
        rows.append([book.say(act), SIGNS[cell.value], *copies])
    return tabulate([book.say(head) for head in ("", "cured", "truth", "wire", "page")], rows)


def _copies(book: Book, look: Look) -> tuple[str, str, str]:
    wire = book.say("not asked") if look.wire is None else _rows(book, look.wire)
    return _rows(book, look.truth), wire, _rows(book, look.page)


def _rows(book: Book, rows: Rows) -> str:
    """Name the rows 1 and 4, and others only where they are not as they always were."""
    usual = {row for row in AFTER if row[0] in {2, 3}}
    said = [f"{id_} {status}" for id_, status in rows if (id_, status) not in usual]
    lost = [str(id_) for id_, _ in sorted(usual) if id_ not in {row[0] for row in rows}]
    if lost:
        said.append(book.say("without {rows}").format(rows=", ".join(lost)))
    return ", ".join(said) or "—"


def _sql(look: Look) -> str:
    lines = []
    for sent in look.sent:
        lines += textwrap.wrap(sent["sql"], WIDTH, subsequent_indent="  ", break_long_words=False)
        if sent["parameters"] not in {"{}", "()", "[]", "None"}:
            lines += textwrap.wrap(f"-- {sent['parameters']}", WIDTH, subsequent_indent="--   ")
        lines.append(f"-- {sent['backend']}")
    return "\n".join(["```sql", *lines, "```"])


def policy_code(_book: Book, which: str) -> str:
    """Show the app of the demonstration."""
    lines = inspect.getsource(policy.APPS[which]).splitlines()
    body = [line for line in lines[1:] if not line.strip().startswith('"""')]
    return "\n".join(["```python", textwrap.dedent("\n".join(body)), "```"])


def policy_steps(book: Book, which: str) -> str:
    """Show each step of the demonstration, with what the database saw."""
    parts = ["```text"]
    for number, step in enumerate(book.demonstration[which], start=1):
        parts += _step(book, number, step)
    return "\n".join([*parts, "```"])


def _step(book: Book, number: int, step: Step) -> list[str]:
    if step.name == "write":
        lines = [f"{number}. {book.say('somebody else writes and commits')}"]
    else:
        shown = _rows(book, step.page) if step.page else str(step.status)
        lines = [f"{number}. {step.name} → {shown}", *(f"     {sql}" for sql in step.sql)]
    if step.during:
        lines.append(_line(book, "before the answer", step.during, step.isolation))
    if step.after:
        lines.append(_line(book, "after it", step.after, ""))
    contacts = ", ".join(step.contacts)
    return [*lines, f"   {book.say('contacts, for others'):24}{contacts}"] if contacts else lines


def _line(book: Book, when: str, seen: Seen, isolation: str) -> str:
    said = [seen.state]
    if seen.transaction:
        said.append(book.say("transaction {number}").format(number=seen.transaction))
        said += [name for name in (isolation,) if name]
        said += ["backend_xmin"] if seen.holds_snapshot else []
        said += ["backend_xid"] if seen.has_written else []
    said.append(f"“{seen.query.split()[0]}”")
    return f"   {book.say(when):24}{', '.join(said)}"
