"""The documents are what was observed, name what exists, and say the same in each language."""

import ast
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from matrices import matrix, row

from freshledger.diagnosis import documents, policy
from freshledger.diagnosis.catalogue import NOT_RUN, load_causes
from freshledger.diagnosis.documents import DOCUMENTS, HEADING
from freshledger.diagnosis.matrix import read_record
from freshledger.errors import Invalid

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ENGLISH, RUSSIAN, RULES = DOCS / "diagnosis.md", DOCS / "diagnosis.ru.md", DOCS / "session-rules.md"
PLACES = [place for place in (ENGLISH, RUSSIAN, RULES) if place.exists()]
DIAGNOSES = [place for place in (ENGLISH, RUSSIAN) if place.exists()]
WIDTH, TEN = 120, 10

ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
LINK = re.compile(r"\]\(([\w.-]*)#([\w-]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py::\w+(?:\[[^\]`]+\])?)`")
CODE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)

whatever = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
diagnoses = pytest.mark.parametrize("place", DIAGNOSES, ids=lambda place: place.name)


def rendered(text: str, name: str) -> str:
    return documents.render(text, DOCUMENTS[name], read_record(), policy.read_record())


@diagnoses
def test_what_is_generated_is_what_was_observed(place: Path):
    text = place.read_text()
    assert rendered(text, place.name) == text, "freshledger diagnose --record docs"


@diagnoses
def test_what_was_changed_by_hand_is_noticed(place: Path):
    text = place.read_text()
    for shown, other in (
        ("| ● |", "| ○ |"),
        ("| 1 confirmed, 4 pending |", "| 1 confirmed |"),
        ("idle in transaction, ", "idle, "),
        ("SELECT … FROM", "SELECT * FROM"),
    ):
        planted = text.replace(shown, other, 1)
        assert planted != text
        assert rendered(planted, place.name) == text


@pytest.mark.parametrize(
    ("cells", "fits"),
    [
        ("yyy nnnn yn ny", "**all**"),
        ("yyy nyyn yn ny", "all, if called elsewhere"),
        ("yyy nnnn yn -y", "all, 1 not observed"),
        ("yyy nyyn -n ny", "all, if called elsewhere, 1, 2 not observed"),
        ("yyy nyyy -n ny", "not 3"),
        ("yyy nnnn nn ny", "not 1, 2"),
    ],
)
def test_what_was_not_observed_is_not_said_to_fit(cells: str, fits: str):
    text = "### 5.A. group\n#### A1. cause\n<!-- generated: matrix -->\n<!-- end -->\n"
    told = documents.render(text, "en", matrix(row("A1", cells)), policy.read_record())
    (line,) = [line for line in told.splitlines() if line.startswith("| [A1]")]
    assert line.removesuffix(" |").rpartition(" | ")[2] == fits


def test_a_block_that_nobody_knows_is_refused():
    with pytest.raises(Invalid, match="nobody knows how to generate “matrlx”"):
        rendered("<!-- generated: matrlx -->\n<!-- end -->\n", "diagnosis.md")


def test_writing_fills_every_language_that_is_there(tmp_path: Path):
    (tmp_path / "diagnosis.md").write_text("<!-- generated: versions -->\nold\n<!-- end -->\n")
    documents.write(tmp_path)
    written = (tmp_path / "diagnosis.md").read_text()
    assert "SQLAlchemy" in written
    assert "old" not in written
    assert not (tmp_path / "diagnosis.ru.md").exists()


def catalogue() -> list[str]:
    return sorted([*load_causes(), *(cause.id for cause in NOT_RUN)])


def lacking_sections(text: str) -> list[str]:
    """The causes whose section, anchor or record is missing, doubled or not in its place."""
    pattern = r'<a id="([a-h]\d)"></a>\n#### ([A-H]\d)\. (?:(?!^#).)*?<!-- generated: cause: ([A-H]\d) -->'
    found = re.findall(pattern, text, re.DOTALL | re.MULTILINE)
    sections = [name for anchor, name, block in found if anchor.upper() == name == block]
    headings = [match["id"] for match in HEADING.finditer(text)]
    expected = catalogue()
    lacking = [name for name in expected if sections.count(name) != 1]
    lacking += [name for name in headings if name not in expected]
    return lacking if lacking or sections == expected else ["the order"]


@diagnoses
def test_every_cause_has_its_section(place: Path):
    text = place.read_text()
    assert lacking_sections(text) == []
    assert lacking_sections(text.replace("generated: cause: B2", "generated: cause: B1", 1)) == [
        "B2"
    ]
    assert lacking_sections(text.replace('<a id="c4"></a>', "", 1)) == ["C4"]
    first, second = HEADING.search(text)[0], HEADING.findall(text)[1]
    assert lacking_sections(text.replace(first, f"#### {second[0]}. x", 1)) != []


def dead_links(place: Path, text: str) -> list[str]:
    dead = []
    for file, anchor in LINK.findall(text):
        target = text if file in {"", place.name} else (place.parent / file).read_text()
        if anchor not in ANCHOR.findall(target):
            dead.append(f"{file}#{anchor}")
    return dead


def doubled_anchors(text: str) -> list[str]:
    anchors = ANCHOR.findall(text)
    return sorted({anchor for anchor in anchors if anchors.count(anchor) > 1})


@whatever
def test_links_lead_somewhere(place: Path):
    text = place.read_text()
    assert dead_links(place, text) == []
    assert doubled_anchors(text) == []
    assert dead_links(place, f"{text}[A9](#a9) [A9](diagnosis.md#a9)") == [
        "#a9", "diagnosis.md#a9",
    ]  # fmt: skip
    assert doubled_anchors(f'{text}<a id="x"></a><a id="x"></a>') == ["x"]


@whatever
def test_files_that_are_named_exist(place: Path):
    files = re.findall(r"\]\(([\w./-]+\.\w+)(?:#[\w-]+)?\)", place.read_text())
    assert [file for file in files if not (DOCS / file).exists()] == []
    assert files or place == RUSSIAN


@cache
def collected(files: tuple[str, ...]) -> set[str]:
    """The ids of all tests of these files, as pytest knows them; also without parameters."""
    arguments = ("--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    command = [sys.executable, "-m", "pytest", *arguments, *files]
    plain = os.environ | {"PYTEST_ADDOPTS": ""}  # -v would show them otherwise
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ids = {line for line in done.stdout.splitlines() if "::" in line}
    return ids | {line.partition("[")[0] for line in ids}


def named_tests() -> dict[Path, set[str]]:
    return {place: set(TEST.findall(place.read_text())) for place in PLACES}


def test_named_tests_exist():
    named = set().union(*named_tests().values())
    known = collected(tuple(sorted({name.partition("::")[0] for name in named})))
    assert named - known == set()
    assert {"tests/web/test_session.py::test_holds[own_sessions]"} - known
    assert known & {"tests/web/test_session.py::test_holds"}


def unguarded(text: str) -> list[str]:
    """The sections of causes that name no test."""
    parts = re.split(r"^#### ([A-H]\d)\. ", text, flags=re.MULTILINE)[1:]
    return [
        name for name, body in zip(parts[::2], parts[1::2], strict=True) if not TEST.search(body)
    ]


@diagnoses
def test_every_cause_names_a_test_that_guards_against_it(place: Path):
    text = place.read_text()
    assert unguarded(text) == []
    assert unguarded(TEST.sub("none", text)) == [match["id"] for match in HEADING.finditer(text)]


COMMENTS = {"python": r" *# .*", "sh": r" *# .*", "sql": r" *-- .*", "javascript": r" *// .*"}
GENERATED = re.compile(r"^<!-- generated: (.+?) -->$.*?^<!-- end -->$", re.DOTALL | re.MULTILINE)


def structure(text: str) -> list[tuple[str, str]]:
    """What a translation has in common with its original, in order; comments may differ."""
    parts = [
        (found.start(), "generated", found[1]) for found in GENERATED.finditer(text)
    ]  # fmt: skip
    rest = GENERATED.sub(lambda found: " " * len(found[0]), text)
    for found in CODE.finditer(rest):
        code = re.sub(COMMENTS.get(found[1], r"\Z"), "", found[2])
        parts.append((found.start(), found[1], code))
    rest = CODE.sub(lambda found: " " * len(found[0]), rest)
    parts += [(found.start(), "anchor", found[1]) for found in ANCHOR.finditer(rest)]
    headings = re.finditer(r"^(#+) ([A-H]?[\d.]*)", rest, re.MULTILINE)
    parts += [(found.start(), found[1], found[2]) for found in headings]
    return [(kind, what) for _, kind, what in sorted(parts)]


def references(text: str) -> dict[str, set[str]]:
    """The tests that each section names, and the places it links to, by its anchor."""
    parts = ANCHOR.split(GENERATED.sub("", text))
    return {
        anchor: {*TEST.findall(body), *(f"{file}#{place}" for file, place in LINK.findall(body))}
        for anchor, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_translation_has_the_same_structure():
    if not RUSSIAN.exists():
        pytest.skip("there is no translation yet")
    original, translation = ENGLISH.read_text(), RUSSIAN.read_text()
    for number, (ours, theirs) in enumerate(
        zip(structure(original), structure(translation), strict=False)
    ):
        assert ours == theirs, f"after {structure(original)[max(0, number - 3) : number]}"
    assert structure(original) == structure(translation)
    assert references(original) == references(translation)


def without(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "", text, count=1, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "spoil",
    [
        without(r'<a id="b1"></a>'),
        without(r"^#### (?=B1)"),
        without(r"^```python\n@app.teardown_request.*?^```$"),
        without(r"Session\.remove\(\)(?=    )"),
        without(r"<!-- generated: cause: C1 -->\n.*?<!-- end -->"),
    ],
    ids=["anchor", "heading", "code", "statement", "block"],
)
def test_another_structure_is_noticed(spoil: Callable[[str], str]):
    text = ENGLISH.read_text()
    assert structure(spoil(text)) != structure(text)


@pytest.mark.parametrize("missing", ["([R1](#r1))", "`tests/test_architecture.py::test_commits`"])
def test_another_reference_is_noticed(missing: str):
    text = ENGLISH.read_text()
    assert references(text.replace(missing, "")) != references(text)


def test_words_may_differ():
    text = ENGLISH.read_text()
    other = text.replace("**Mechanism.**", "**Ход.**").replace("# no registry", "# x")
    other = other.replace("transactions page shows", "Seite")
    assert other != text
    assert (structure(other), references(other)) == (structure(text), references(text))


def broken_python(text: str) -> list[str]:
    broken = []
    for language, code in CODE.findall(text):
        try:
            if language == "python":
                compile(
                    textwrap.dedent(code),
                    "",
                    "exec",
                    ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST,
                )
        except SyntaxError as error:
            broken.append(f"{error}: {code}")
    return broken


@whatever
def test_examples_are_python(place: Path):
    text = place.read_text()
    assert broken_python(text) == []
    assert len(broken_python(f"{text}\n```python\nasync with x\n```\n")) == 1


def too_wide(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > WIDTH and not line.startswith("|")]


@whatever
def test_lines_are_narrow(place: Path):
    text = place.read_text()
    assert too_wide(text) == []
    assert too_wide(f"{text}\n{'x' * 121}\n| {'x' * 121} |") == ["x" * 121]


def test_ten_rules_cover_every_cause():
    text = RULES.read_text()
    assert len(re.findall(r"^## \d+\. ", text, re.MULTILINE)) == TEN
    linked = {
        anchor.upper() for _, anchor in LINK.findall(text) if re.fullmatch(r"[a-h]\d", anchor)
    }
    assert linked == set(catalogue())
    assert text.count("**Why.**") == text.count("**Guard.**") == text.count("**Check.**") == TEN


COMMANDS = [code.strip() for language, code in CODE.findall(RULES.read_text()) if language == "sh"]

BROKEN = """
from datetime import datetime

app.app_context().push()
session = Session()
KINDS = session.execute(select(Kind)).all()
engine = create_engine("sqlite:///ledger.db", pool_reset_on_return=None)


class Row(Base):
    at = mapped_column(default=datetime.now())


class Ledger:
    def __init__(self):
        self.session = db.session()


@cache.memoize()
def page(until=datetime.now()):
    session.execute(update(Row), execution_options={"synchronize_session": False})
    session.commit()
    response.headers["Cache-Control"] = "max-age=60"


def watch():
    with app.app_context():
        while True:
            page()
"""
SOUND = """
from datetime import UTC, datetime

Session = sessionmaker(create_engine(os.environ["DATABASE_URL"]))


class Row(Base):
    at = mapped_column(default=utc_now)


def page(session, until=None):
    response.headers["Cache-Control"] = "private, no-cache"
    return session.scalars(query.where(Row.at <= (until or datetime.now(UTC)))).all()


def watch():
    while True:
        with Session.begin() as session:
            page(session)
"""


def found_by(command: str, folder: Path, program: str) -> str:
    (folder / "app.py").write_text(program)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=folder, env={"PATH": path}, text=True,
                          capture_output=True, check=False)  # fmt: skip
    assert done.stderr == ""
    return done.stdout if "app.py" in done.stdout else ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_rules_command_finds_what_breaks_it(command: str, tmp_path: Path):
    assert found_by(command, tmp_path, BROKEN), "it finds nothing where everything is wrong"
    assert found_by(command, tmp_path, SOUND) == ""
