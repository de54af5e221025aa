"""What is generated in the documents, block by block: Markdown, in the document's language."""

import textwrap
from collections.abc import Callable, Mapping
from itertools import groupby

from freshledger.diagnosis.book import SIGNS, Book, link, link_all, tabulate, wrap
from freshledger.diagnosis.excerpts import cause, policy_code, policy_steps
from freshledger.diagnosis.facts import choose_questions, group
from freshledger.diagnosis.looks import COLUMNS
from freshledger.diagnosis.matrix import Row
from freshledger.diagnosis.verdict import Verdict, fit, judge

HEADINGS = {
    "missing": "new", "old": "old", "select": "SELECT", "expire_all": "expire", "remove": "remove",
    "view": "in view", "elsewhere": "elsewhere", "same": "same", "own": "own", "time": "time", "process": "restart",
}  # fmt: skip
PROPOSED = {
    "kept outside the session": ("E1", "E2", "E4", "C1"),
    "one session across requests": ("A1", "A2", "A3"),
    "not committed, not flushed": ("D4", "D5"),
    "`scoped_session`, threads, processes": ("A3", "A5", "A6"),
}
"""The four explanations that were proposed, and the causes that are one of them."""


def remaining(book: Book, _: str) -> str:
    """List what explains all three observations."""
    verdict = judge(book.matrix)
    lines = [f"- {link(row.id)} {book.titles[row.id]}" for row in verdict.consistent]
    said = book.say(
        "And, if both calls were made in another thread or process than the page's: {causes}."
    )
    return "\n".join([*lines, "", wrap(said.format(causes=link_all(verdict.elsewhere)))])


def matrix(book: Book, _: str) -> str:
    """Tabulate all causes by all columns."""
    rows: list[list[str]] = []
    for letter, causes in groupby(book.matrix.rows, key=lambda row: row.id[0]):
        blank = [""] * (len(COLUMNS) + 1)
        rows.append([f"**[{letter}](#{letter.lower()})**", f"**{book.titles[letter]}**", *blank])
        rows += [_matrix_row(book, row) for row in causes]
    head = ["", book.say("the page is stale because of"), *map(book.say, HEADINGS.values())]
    return tabulate([*head, book.say("fits")], rows)


def _matrix_row(book: Book, row: Row) -> list[str]:
    first = [link(row.id), book.titles[row.id]]
    if not row.cells:
        return [*first, book.say("not run"), *[""] * len(COLUMNS)]
    return [*first, *(SIGNS[row.cells[name].value] for name in COLUMNS), _fits(book, row)]


def _fits(book: Book, row: Row) -> str:
    answers = fit(row)
    if against := [name[1:] for name, answer in answers.items() if answer == "no"]:
        return book.say("not {numbers}").format(numbers=", ".join(against))
    said = [book.say("if called elsewhere")] if "only elsewhere" in answers.values() else []
    if unseen := ", ".join(name[1:] for name in _unseen(row)):
        said.append(book.say("{numbers} not observed").format(numbers=unseen))
    return ", ".join([book.say("all"), *said]) if said else f"**{book.say('all')}**"


def _unseen(row: Row) -> list[str]:
    """Return the observations of which nobody can tell whether this cause would show them."""
    return [name for name, answer in fit(row).items() if answer == "not observable"]


def versions(book: Book, _: str) -> str:
    """Name what was observed."""
    said = ", ".join(f"{name} {version}" for name, version in sorted(book.matrix.versions.items()))
    run, all_ = len(list(book.matrix.observed)), len(book.matrix.rows)
    cells = [cell for row in book.matrix.observed for cell in row.cells.values()]
    seen = sum(cell.value != "not observable" for cell in cells)
    sentence = book.say(
        "Of {all} known causes {run} were run; {seen} of their {cells} cells were observed. On {versions}."
    )
    return wrap(sentence.format(all=all_, run=run, seen=seen, cells=len(cells), versions=said))


def verdict(book: Book, _: str) -> str:
    """Say which causes fit the observations, and what excludes the others."""
    found = judge(book.matrix)
    left = [row for row in book.matrix.rows if not row.cells]
    said = book.say("**Not run, and so neither:** {causes}.").format(causes=link_all(left))
    return "\n\n".join([_fitting(book, found), _excluded(book, found), said])


def _fitting(book: Book, found: Verdict) -> str:
    fitting = book.say("**All three fit:** {causes}.").format(causes=link_all(found.consistent))
    if unseen := [row for row in found.remaining if _unseen(row)]:
        fitting += " " + book.say("Not all of it could be observed of {causes}.").format(
            causes=link_all(unseen)
        )
    where = book.say(
        "**All three fit if the two calls were made in another thread or process than the page's:** "
        "{causes}. Made in the page's own view, before it reads, they cure these."
    )
    return "\n\n".join(map(wrap, (fitting, where.format(causes=link_all(found.elsewhere)))))


def _excluded(book: Book, found: Verdict) -> str:
    rows = []
    for against, pairs in groupby(sorted(found.excluded, key=_by), key=lambda pair: pair[1]):
        causes = link_all(row for row, _ in pairs)
        rows.append([", ".join(name[1:] for name in against), causes])
    return tabulate([book.say("excluded by observation"), book.say("causes")], rows)


def _by(pair: tuple[Row, tuple[str, ...]]) -> tuple[tuple[str, ...], str]:
    return pair[1], pair[0].id


def questions(book: Book, _: str) -> str:
    """Ask what tells the remaining causes apart."""
    rows = judge(book.matrix).remaining
    chosen = choose_questions(rows)
    parts = []
    by_id = {row.id: row for row in rows}
    for number, question in enumerate(chosen, start=1):
        answers = {"yes": question.yes, "no": question.no, "either way": question.either}
        said = "; ".join(
            f"{book.say(answer)}: {link_all(by_id[name] for name in names)}"
            for answer, names in answers.items()
            if names
        )
        lines = (f"**{book.say(question.fact.question)}**", book.say(question.fact.how), f"{said}.")
        body = "\n\n".join(map(wrap, lines))
        parts.append(f"{number}. " + textwrap.indent(body, "   ").lstrip())
    together = "; ".join(link_all(rows) for rows in group(rows, chosen))
    parts.append(wrap(book.say("Together they leave: {groups}.").format(groups=together)))
    return "\n\n".join(parts)


def proposed(book: Book, _: str) -> str:
    """Say what was observed of the explanations that had been proposed."""
    names = ("expire_all", "remove", "view", "elsewhere", "same", "own")
    rows = []
    for explanation, ids in PROPOSED.items():
        for row in (book.row(name) for name in ids):
            said = book.say(explanation) if row.id == ids[0] else ""
            cells = [SIGNS[row.cells[name].value] for name in names]
            rows.append([said, f"{link(row.id)} {book.titles[row.id]}", *cells, _fits(book, row)])
    columns = [book.say(HEADINGS[name]) for name in names]
    return tabulate([book.say("proposed"), book.say("cause"), *columns, book.say("fits")], rows)


BLOCKS: Mapping[str, Callable[[Book, str], str]] = {
    "remaining": remaining,
    "matrix": matrix,
    "versions": versions,
    "verdict": verdict,
    "questions": questions,
    "proposed": proposed,
    "cause": cause,
    "policy code": policy_code,
    "policy steps": policy_steps,
}
"""How each block is made, by its name; what stands behind a colon is told."""
