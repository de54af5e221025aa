"""What was measured is told as it was measured: ratios, bounds, parts put together, documents."""

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from benchmarks import documents, words
from benchmarks import record as records
from benchmarks.measures import Measure, Point, ratio
from benchmarks.record import Record, Run
from benchmarks.report import make_table

DOCS = Path(__file__).parents[1] / "docs"
MISSED = Measure("2", "unchanged", "×", (0.8, 0.7, 0.95), at_least=0.9)
KEPT = ratio("10", "rows | page", (2.0, 9.0, 4.0), (2.0, 3.0, 2.0), at_most=2, note="by key")
STATED = Measure("1b", "freshledger", "requests/s", (1234.5,))
CURVE = [
    Measure("5", f"curve: rows: asset=ETH: {rows}", "ms", (taken, 2 * taken))
    for rows, taken in ((10_000, 1.5), (10_000_000, 2.0))
]


def run_of(*measures: Measure, at: int = 1, smoke: bool = False) -> Run:
    machine = {"processor": "one", "cores": "2", "memory": "4 GB", "system": "Linux"}
    when = datetime(2026, 1, at, tzinfo=UTC)
    return Run(when, "abc", smoke, machine, {"Python": "3.11"}, measures)


RECORD = Record((run_of(MISSED, KEPT, STATED, *CURVE),))
PAGE = "".join(f"<!-- generated: {name} -->\n<!-- end -->\n" for name in documents.BLOCKS)


def test_a_ratio_is_made_round_by_round():
    assert KEPT.rounds == (1.0, 3.0, 2.0)
    assert (KEPT.middle, KEPT.spread) == (2.0, (1.0, 3.0))
    with pytest.raises(ValueError, match="shorter"):
        ratio("1", "rounds are missing", (1.0, 2.0), (1.0,))


@pytest.mark.parametrize(
    ("least", "most", "reached"),
    [
        (None, None, None),
        (2, None, True),
        (2.1, None, False),
        (None, 2, True),
        (None, 1.9, False),
        (1, 3, True),
        (1, 1.5, False),
    ],
)
def test_the_median_is_what_has_to_be_within_the_bound(least, most, reached):
    assert Measure("1", "it", "×", (9.0, 2.0, 1.0), least, most).reached is reached


def test_a_name_tells_a_point_of_a_curve():
    assert CURVE[0].point == Point("rows", "asset=ETH", 10_000)
    named = Measure("5", "curve: open pages: wallet: main, asset: 20.5", "ms", (1.0,))
    assert named.point == Point("open pages", "wallet: main, asset", 20.5)
    assert STATED.point is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0.00"),
        (0.04213, "0.042"),
        (0.7118, "0.712"),
        (1.2, "1.20"),
        (20.55, "20.6"),
        (751.4, "751"),
        (1234567.8, "1,234,568"),
    ],
)
def test_numbers_have_three_digits(value, told):
    assert words.number(value) == told


def test_of_runs_in_parts_the_last_counts_for_each_row(tmp_path):
    again = Measure("2", "unchanged", "×", (1.0,), at_least=0.9)
    parts = [Record((run_of(MISSED, STATED),)), Record((run_of(again, at=2),))]
    for number, part in enumerate(parts):
        records.write(part, tmp_path / f"{number}.json")
    read = [records.read(tmp_path / f"{number}.json") for number in range(2)]
    assert read == parts
    merged = records.merge(read)
    assert merged.measures == [STATED, again]
    assert [run.lines for run in merged.runs] == [("1b",), ("2",)]
    assert records.merge([read[1], merged, read[0]]) == Record((run_of(MISSED, STATED),))


def test_rows_stand_in_the_order_of_the_table():
    lines = ["10", "2", "1b", "11", "1a"]
    assert sorted(lines, key=records.order) == ["1a", "1b", "2", "10", "11"]
    assert [one.line for one in RECORD.measures] == ["1b", "2", "5", "5", "10"]


def test_a_run_tells_where_it_was_made_and_keeps_six_digits():
    made = records.make_run([Measure("1b", "it", "ms", (1 / 3,))], postgresql="18.1", smoke=False)
    assert made.measures[0].rounds == (0.333333,)
    assert made.versions["PostgreSQL"] == "18.1"
    assert {"Python", "quart", "asyncpg"} <= made.versions.keys()
    assert made.machine["cores"].isdecimal()
    assert made.commit


@pytest.mark.parametrize("text", ["", "{}", '{"runs": [{"at": "yesterday"}]}'])
def test_what_is_no_record_is_refused(tmp_path, text):
    (tmp_path / "found.json").write_text(text)
    with pytest.raises(click.ClickException, match=r"found\.json is no record"):
        records.read(tmp_path / "found.json")


def table(record: Record, *, judged: bool = True) -> list[str]:
    console = Console(width=100, highlight=False)
    measures = [one for one in record.measures if one.point is None]
    with console.capture() as captured:
        console.print(make_table(measures, judged=judged))
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_the_table_tells_what_was_missed():
    lines = table(RECORD)
    assert "unchanged 0.800 × 0.700 to 0.950 ≥ 0.9 NOT REACHED" in lines
    assert "rows | page 2.00 × 1.00 to 3.00 ≤ 2 ok" in lines
    assert "freshledger 1,234 requests/s" in lines
    assert "by key" in lines
    assert not any("curve" in line for line in lines)
    assert not any("REACHED" in line for line in table(RECORD, judged=False))
    assert words.summary(RECORD.measures) == "1 of 2 bounds reached; not reached: 2 unchanged."


def test_the_page_is_filled_and_stays_as_it_is():
    page = documents.render(PAGE, RECORD)
    assert "| rows \\| page (by key) | 2.00 × | 1.00 to 3.00 | ≤ 2 | ok |" in page
    assert "| unchanged | 0.800 × | 0.700 to 0.950 | ≥ 0.9 | NOT REACHED |" in page
    assert "| ms at … rows | 10,000 | 10,000,000 |" in page
    assert "| asset=ETH | 2.25 | 3.00 |" in page
    assert "2026-01-01 00:00 UTC, commit abc, on 2 cores" in page
    assert documents.render(page, RECORD) == page
    without = Record((run_of(STATED),))
    assert ".svg" not in documents.render(page, without)
    assert documents.render(documents.render(page, without), RECORD) == page


def test_a_smoke_run_is_no_statement():
    page = documents.render(PAGE, Record((run_of(STATED, smoke=True),)))
    assert "these figures mean nothing" in page


def test_a_block_that_nobody_knows_is_refused():
    with pytest.raises(click.ClickException, match="nobody knows how to generate “tabel”"):
        documents.render("<!-- generated: tabel -->\n<!-- end -->\n", RECORD)


def test_the_documents_are_what_was_measured():
    page = (DOCS / documents.PAGE).read_text()
    record = records.read(DOCS / documents.RECORD)
    again = f'make bench args="--from docs/{documents.RECORD} --docs docs"'
    assert documents.render(page, record) == page, again
    drawn = {documents.chart_file(name) for name in documents.chart_names(record)}
    drawn |= {documents.chart_file("ratios")} if documents.bounded_ratios(record) else set()
    assert {place.name for place in DOCS.glob("performance*.svg")} == drawn, again
    planted = page.replace(words.middle(record.measures[0]), "9,999,999", 1)
    assert planted != page
    assert documents.render(planted, record) == page


def test_charts_are_the_same_for_the_same_record(tmp_path):
    pytest.importorskip("matplotlib", reason="only `make bench` installs it")
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
        (folder / documents.PAGE).write_text(PAGE)
        (folder / "performance-of-old.svg").write_text("<svg/>")
        documents.write(RECORD, folder)
    one, other = (
        {place.name: place.read_text() for place in folder.iterdir()} for folder in folders
    )
    assert one == other
    names = {"performance.json", "performance.md", "performance-ratios.svg", "performance-rows.svg"}
    assert one.keys() == names
    assert ">2  unchanged<" in one["performance-ratios.svg"]
    assert ">asset=ETH<" in one["performance-rows.svg"]
    assert "prefers-color-scheme: dark" in one["performance-rows.svg"]
    assert max(map(len, one.values())) < 100_000


@pytest.fixture
def run_bench(monkeypatch, server):
    """Run the command with a line of one's own, on a server that is there."""
    program = pytest.importorskip("benchmarks.__main__", reason="only `make bench` installs peers")

    @contextmanager
    def there(**_):
        yield server

    def run(measure, *arguments):
        async def measured(_):
            return measure()

        line = SimpleNamespace(LINES=("1b",), measure=measured)
        monkeypatch.setattr(program, "MODULES", (line,))
        return CliRunner().invoke(program.main, arguments)

    monkeypatch.setattr(program, "_server", there)
    return run


def raising(error: BaseException):
    def measure():
        raise error

    return measure


def test_a_missed_bound_is_told_and_no_failure(run_bench, tmp_path):
    place = tmp_path / "found.json"
    result = run_bench(lambda: [MISSED], "--json", str(place))
    assert (result.exit_code, "NOT REACHED" in result.stdout) == (0, True), result.output
    assert "0 of 1 bounds reached" in result.stdout
    assert "line 1b" in result.stderr
    assert records.read(place).measures == [MISSED]


def test_wrong_rows_are_a_failure(run_bench):
    result = run_bench(raising(click.ClickException("the peer returned 49 rows")))
    assert result.exit_code == 1
    assert "the peer returned 49 rows" in result.stderr


def test_without_wrk_it_says_what_to_install(run_bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_bench(lambda: [STATED])
    assert result.exit_code == 1
    assert "apt-get install wrk" in result.stderr


def test_figures_of_a_smoke_run_are_kept_out_of_the_documents(run_bench):
    result = run_bench(lambda: [STATED], "--smoke", "--docs", str(DOCS))
    assert result.exit_code == 2
    assert "--docs wants a full run" in result.stderr
