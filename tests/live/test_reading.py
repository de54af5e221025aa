"""How the feed reads what was changed."""

from freshledger.live import reading


async def test_the_feed_finds_by_indexes_whatever_the_tables_were(psql, books, feeding):
    """The tables are all but empty: PostgreSQL would rather scan them, and keep that plan."""
    await psql.execute("ANALYZE ledgers, heads, revisions, changes")
    explain = f"EXPLAIN {reading._READ}"
    async with feeding() as feed:
        plan = await feed.listener.fetch(explain, books.ledger_id, 0)
    assert "Index Scan" in str(plan)
    assert "Seq Scan" not in str(plan)
    async with psql.transaction():
        await psql.execute("SET LOCAL enable_indexscan = off")
        await psql.execute("SET LOCAL enable_bitmapscan = off")
        assert "Seq Scan" in str(await psql.fetch(explain, books.ledger_id, 0))
