"""The three copies: which statements read the page's table, and engines nobody thought of."""

import pytest
from sqlalchemy import create_engine

from freshledger.diagnosis import copies
from freshledger.diagnosis.tables import BEFORE, QUESTION, Base, fill


@pytest.mark.parametrize(
    ("statement", "read"),
    [
        ("SELECT transactions.id FROM transactions", True),
        ("\n  select * from payments.transactions;", True),
        ('WITH latest AS (SELECT id FROM "transactions") SELECT * FROM latest', True),
        ("SELECT id FROM listed_transactions", False),
        ("SELECT id FROM transactions2", False),
        ("UPDATE transactions SET status = 'confirmed'", False),
        ("SELECTED transactions", False),
    ],
)
def test_what_reads_the_table(statement, read):
    assert copies.reads(statement, "transactions") is read


def test_an_engine_that_nobody_thought_of_is_known_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "WHO", {})
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        fill(connection)
    end = copies.watch(QUESTION, table="transactions")
    try:
        heard = copies.start_hearing()
        with engine.connect() as connection:
            connection.execute(QUESTION)
    finally:
        end()
    engine.dispose()
    assert heard.wire == BEFORE
    assert [sent.backend for sent in heard.sent] == ["a connection of sqlite"]
    assert copies.read_truth(engine.url, QUESTION) == (BEFORE, "a connection of sqlite")
