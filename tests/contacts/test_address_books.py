import pytest

from freshledger.contacts import commands, importing, repository
from freshledger.contacts.address_book import MAX_SIZE, read_book, write_book
from freshledger.errors import Invalid

A = "0x52908400098527886E0F7030069857D2E4169EE7"
B = "0xde709f2102306220921060314715629080e2fb77"
C = "0x27b1fdb04752bbc536007a920d24acb045561c26"
BTC = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
LEGACY = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"


def lines(*rows, head="address,name,blockchain"):
    return "\n".join((head, *rows)).encode()


@pytest.fixture
async def write(database):
    async with database.write() as session:
        yield session


@pytest.fixture
def ledger(books):
    return {"ledger_id": books.ledger_id}


async def names(session, ledger):
    page = await repository.list_contacts(session, **ledger, limit=500)
    return {row.name: {at.address for at in row.addresses} for row in page.rows}


def test_safes_form_has_chain_ids_and_a_byte_order_mark():
    data = b"\xef\xbb\xbfaddress,name,chainId\r\n" + f"{A},Ann,137\r\n".encode()
    book = read_book(data)
    assert (book.format, book.problems) == ("safe", ())
    assert [(e.line, e.network, e.address, e.name) for e in book.entries] == [
        (2, "evm", A.lower(), "Ann")
    ]


def test_rotkis_form_has_its_own_names_of_chains():
    rows = (f"{A},Ann,polygon_pos", f"{B},Bo,", f"{LEGACY},Cy,btc", f"{BTC},Di,", f"{C},Ed,scroll")
    book = read_book(lines(*rows))
    assert [e.network for e in book.entries] == ["evm", "evm", "bitcoin", "bitcoin", "evm"]
    assert book.format == "rotki"


def test_rotkis_fourth_column_is_read_over():
    book = read_book(lines(f"{A},Ann,eth,private", head="address,name,blockchain,location"))
    assert book.problems == ()
    assert book.entries[0].name == "Ann"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"{A},,eth", "name"),
        (f"{A},{'x' * 101},eth", "100 characters"),
        (f"{A},Ann,mars", "mars"),
        (f"{A},Ann,btc", "EVM"),
        (f"{BTC},Ann,eth", "not an EVM address"),
        (f"{LEGACY},Ann,", "name one"),
        ("two words,Ann,btc", "not an address"),
        (f"{A},Ann,eth,more", "4 cells"),
        (f"{A}", "name"),
    ],
)
def test_problems_name_their_line(row, words):
    book = read_book(lines(f"{B},Bo,eth", row))
    assert len(book.entries) == 1
    assert [problem.line for problem in book.problems] == [3]
    assert words in book.problems[0].message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "line 1"),
        (b"name,address\nAnn,1", "line 1"),
        (b"\xff\xfe", "line 1 is not UTF-8"),
        (lines(f"{A},Ann,eth") + b"\n\xff", "line 3 is not UTF-8"),
        (lines(f"{A},An\0n,eth"), "line 2 has a NUL"),
        (lines(f'{A},"Ann,eth'), "line 2"),
        (b"x" * (MAX_SIZE + 1), "at most 1,024 KB"),
    ],
)
def test_what_is_no_address_book(data, words):
    with pytest.raises(Invalid, match=words) as error:
        read_book(data)
    assert error.value.field == "file"


@pytest.mark.parametrize("kind", ["safe", "rotki"])
@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "'=1", "''=1", "'quoted'", 'a"b,c;d'])
def test_names_survive_and_never_become_formulas(kind, name):
    data = b"".join(write_book(kind, [(A.lower(), name, "evm")]))
    cell = data.decode("utf-8-sig").splitlines()[1].partition(",")[2].strip('"')
    assert cell[0] not in "=+-@"
    assert [entry.name for entry in read_book(data).entries] == [name]


def test_safes_form_leaves_out_other_networks():
    rows = [(A.lower(), "Ann", "evm"), (BTC, "Ann", "bitcoin")]
    assert b"".join(write_book("safe", rows)).decode("utf-8-sig").splitlines() == [
        "address,name,chainId",
        f"{A},Ann,1",
    ]
    with pytest.raises(Invalid):
        list(write_book("excel", rows))


async def test_an_import_adds_and_a_second_time_adds_nothing(write, ledger):
    book = read_book(lines(f"{A},Ann,eth", f"{B},ann,", f"{BTC},Ann,btc", f"{A},Ann,base"))
    plan = await importing.import_book(write, **ledger, book=book)
    assert (len(plan.added), len(plan.there)) == (3, 1)
    assert await names(write, ledger) == {"Ann": {A.lower(), B, BTC}}
    again = await importing.import_book(write, **ledger, book=book)
    assert (again.changes, len(again.there), again.problems) == (0, 4, ())


@pytest.mark.parametrize("kind", ["safe", "rotki"])
async def test_an_export_comes_back_as_it_was(write, ledger, kind):
    data = lines(f"{A},=Ann,eth", f"{B},Bo,", f"{LEGACY},Cy,btc", f"{LEGACY},Cy,bch")
    await importing.import_book(write, **ledger, book=read_book(data))
    out = await commands.export_book(write, **ledger, kind=kind)
    plan = await importing.import_book(write, **ledger, book=read_book(out))
    assert (plan.changes, plan.problems) == (0, ())
    assert len(plan.there) == (2 if kind == "safe" else 4)


async def test_the_files_name_wins(write, ledger):
    old = read_book(lines(f"{A},Ann,", f"{B},Ann,"))
    await importing.import_book(write, **ledger, book=old)
    plan = await importing.import_book(
        write, **ledger, book=read_book(lines(f"{C},Anna,", f"{A},Anna,"))
    )
    assert [(one.before, one.entry.name) for one in plan.renamed] == [("Ann", "Anna")]
    assert await names(write, ledger) == {"Anna": {A.lower(), B, C}}


async def test_what_a_person_must_decide_is_a_problem(write, ledger):
    await importing.import_book(
        write, **ledger, book=read_book(lines(f"{A},Ann,", f"{B},Bo,", f"{C},Ann,"))
    )
    taken = read_book(lines(f"{B},Ann,"))
    plan = await importing.plan_import(write, **ledger, book=taken)
    assert "merge" in plan.problems[0].message
    split = await importing.plan_import(
        write, **ledger, book=read_book(lines(f"{A},Ann,", f"{C},Cy,"))
    )
    assert [problem.line for problem in split.problems] == [3]
    twice = await importing.plan_import(
        write, **ledger, book=read_book(lines(f"{A},Ann,", f"{A},Cy,"))
    )
    assert "line 2" in twice.problems[0].message


async def test_all_or_nothing_unless_problems_are_left_out(write, ledger):
    book = read_book(lines(f"{A},Ann,", f"{B},,"))
    with pytest.raises(Invalid, match=r"line 3.*nothing imported"):
        await importing.import_book(write, **ledger, book=book)
    assert await names(write, ledger) == {}
    await importing.import_book(write, **ledger, book=book, without_problems=True)
    assert await names(write, ledger) == {"Ann": {A.lower()}}


async def test_a_large_book(write, ledger):
    rows = (f"0x{n:040x},Contact {n % 700},eth" for n in range(1, 9001))
    book = read_book(lines(*rows))
    plan = await importing.import_book(write, **ledger, book=book)
    assert len(plan.added) == 9000
    assert await repository.count_contacts(write, **ledger) == 700
