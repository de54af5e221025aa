"""Prints a matrix, its verdict and its questions, for a terminal and for a pipe."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from freshledger.diagnosis.asking import Finding
from freshledger.diagnosis.catalogue import GROUPS
from freshledger.diagnosis.facts import Question, choose_questions, group
from freshledger.diagnosis.looks import COLUMNS
from freshledger.diagnosis.matrix import Matrix, Row
from freshledger.diagnosis.verdict import OBSERVATIONS, Verdict, fit, judge

WIDTH = 100
"""Columns of a line where the output is no terminal."""

SECTION = "docs/diagnosis.md#"

SIGNS = {"yes": "●", "no": "·", "partly": "◐", "not observable": "—", "only elsewhere": "◐"}
HEADINGS = {
    "missing": ("new", "new rows are missing"),
    "old": ("old", "old values are shown"),
    "select": ("SEL", "the stale page sends a SELECT"),
    "expire_all": ("exp", "cured by expire_all() on the session that the page reads"),
    "remove": ("rem", "cured by remove() on that session, before the page reads"),
    "view": ("vie", "cured by both calls on db.session in the view, before the page reads"),
    "elsewhere": ("els", "cured by both calls in another thread"),
    "same": ("sam", "cured by another function of the app on the page's session"),
    "own": ("own", "cured by another function of the app on a session of its own"),
    "process": ("pro", "cured by a new process"),
    "time": ("tim", "cured by time alone"),
}
"""Each column's heading, and what it means."""


def make_console() -> Console:
    """Return one for standard output; a pipe gets lines of WIDTH columns."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, emoji=False)


def _say(console: Console, text: str, *, indent: int = 2, hang: int = 0, style: str = "") -> None:
    """Print a paragraph; its further lines stand `hang` to the right of the first."""
    lines = textwrap.wrap(
        text,
        console.width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print("\n".join(lines), markup=False, soft_wrap=True, style=style)


def print_matrix(console: Console, matrix: Matrix) -> None:
    """Print a line for each cause that was observed, by groups, and what the signs mean."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("the cause", ratio=1)
    for name in COLUMNS:
        table.add_column(HEADINGS[name][0], justify="center", no_wrap=True)
    for name in OBSERVATIONS:
        table.add_column(name, justify="center", no_wrap=True)
    for letter, rows in groupby(matrix.observed, key=lambda row: row.id[0]):
        table.add_row()
        table.add_row(f"[bold]{letter}[/]", f"[bold]{escape(GROUPS.get(letter, letter))}[/]")
        for row in rows:
            table.add_row(row.id, escape(row.title), *_signs(row))
    console.print(table)
    _print_legend(console)
    print_not_run(console, matrix.rows)
    said = ", ".join(f"{name} {version}" for name, version in sorted(matrix.versions.items()))
    console.print()
    _say(console, f"Observed on {said}.", indent=0)


def _signs(row: Row) -> list[str]:
    observations = [SIGNS[answer] for answer in fit(row).values()]
    return [SIGNS[row.cells[name].value] for name in COLUMNS] + observations


def _print_legend(console: Console) -> None:
    console.print(
        "\n● yes   · no   ◐ partly (O3: only if called elsewhere)   — not observable here"
    )
    for name in COLUMNS:
        console.print(f"  {HEADINGS[name][0]:4}{HEADINGS[name][1]}", markup=False)
    for observation, said in OBSERVATIONS.items():
        console.print(f"  {observation:4}fits: {said}", markup=False)


def print_not_run(console: Console, rows: Iterable[Row]) -> None:
    """Print the causes that were not run, with the reason."""
    left = [row for row in rows if row.not_run]
    if left:
        console.print("\n[bold]Not run[/]")
    for row in left:
        _say(console, f"{row.id:3} {row.title}: {row.not_run}", hang=4)


def print_verdict(console: Console, matrix: Matrix) -> None:
    """Print which causes explain the three observations, and the questions that part them."""
    if not any(matrix.observed):
        return
    verdict = judge(matrix)
    console.print("\n[bold]The three observations[/]")
    for observation, said in OBSERVATIONS.items():
        console.print(f"  {observation}  {said}", markup=False)
    _print_causes(console, "Explain all three", verdict.consistent)
    where = "Remain only if the two calls were made elsewhere than where the page reads"
    _print_causes(console, where, verdict.elsewhere)
    _print_excluded(console, verdict)
    questions = choose_questions(verdict.remaining)
    if questions:
        _print_questions(console, verdict, questions)


def _print_causes(console: Console, heading: str, rows: Sequence[Row]) -> None:
    console.print(f"\n[bold]{heading}[/]{'' if rows else ': none'}")
    for row in rows:
        _say(console, f"{row.id:3} {row.title}", hang=4)


def _print_excluded(console: Console, verdict: Verdict) -> None:
    console.print(f"\n[bold]Excluded[/]{'' if verdict.excluded else ': none'}")
    by = sorted(verdict.excluded, key=lambda pair: pair[1])
    for against, pairs in groupby(by, key=lambda pair: pair[1]):
        ids = ", ".join(row.id for row, _ in pairs)
        _say(console, f"by {' and '.join(against)}: {ids}", hang=2)


def _print_questions(console: Console, verdict: Verdict, questions: Sequence[Question]) -> None:
    console.print("\n[bold]What tells the remaining ones apart[/]")
    for number, question in enumerate(questions, start=1):
        _say(console, f"{number}. {question.fact.question}", hang=3)
        _say(console, question.fact.how, indent=5, style="dim")
        _print_answers(console, question)
    together = [", ".join(row.id for row in rows) for rows in group(verdict.remaining, questions)]
    _say(console, f"Together they leave: {'; '.join(together)}.", hang=2)
    _say(console, "freshledger diagnose --ask goes on from there.")


def _print_answers(console: Console, question: Question) -> None:
    either = {"yes": question.yes, "no": question.no, "either": question.either}
    said = "; ".join(f"{answer}: {', '.join(ids)}" for answer, ids in either.items() if ids)
    _say(console, said, indent=5)


def print_list(console: Console, rows: Iterable[Row]) -> None:
    """Print a line for each cause, by groups."""
    for letter, grouped in groupby(rows, key=lambda row: row.id[0]):
        console.print(f"\n[bold]{letter}. {escape(GROUPS.get(letter, letter))}[/]")
        for row in grouped:
            why = f" (not run: {row.not_run})" if row.not_run else ""
            console.print(f"  {row.id:3} {row.title}{why}", markup=False, soft_wrap=True)


def print_finding(console: Console, finding: Finding, rows: Sequence[Row]) -> None:
    """Print what remains after the questions, with what to do; `rows` are all that there were."""
    if not finding.rows:
        _print_contradiction(console, finding, rows)
        return
    one = len(finding.rows) == 1
    console.print(f"\n[bold]{'It is' if one else 'It is one of'}[/]")
    for row in finding.rows:
        console.print()
        _say(console, f"{row.id} {row.title}", style="bold")
        _say(console, f"Do: {row.fix}", hang=4)
        for fact, answer in finding.answers:
            known = fact.of(row)
            said = "either way" if known is None else "yes" if answer else "no"
            _say(console, f"{SIGNS['yes']} {fact.question} {said}", hang=2, style="dim")
        _say(console, f"More: {SECTION}{row.id.lower()}")


def _print_contradiction(console: Console, finding: Finding, rows: Sequence[Row]) -> None:
    console.print("\n[bold]No cause that was observed answers all of this so.[/]")
    for number, (fact, answer) in enumerate(finding.answers):
        if left := finding.without(number, rows):
            ids = ", ".join(row.id for row in left)
            said = "yes" if answer else "no"
            _say(console, f"Were it not {said} to “{fact.question}”: {ids}.", hang=2)
    _say(console, "Those that have no experiment: freshledger diagnose --list")
