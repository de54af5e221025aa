"""A ledger of a million skewed rows, made by the database with all triggers on.

It is skewed in the ways that make a plan that is good on average bad: values that half of
all rows have, values that only the oldest rows have, and pairs of common values that no row
has together. Row n (1 is the oldest) is about five minutes after row n - 1.
"""

import asyncpg

ROWS = 1_000_000
HOT, HOT_COIN = "0x" + "a" * 40, "bc1q" + "a" * 38
OLD_FRIEND = "0x" + "b" * 40
NEVER = "0x" + "f" * 40

TRANSACTIONS = """
INSERT INTO transactions (ledger_id, wallet_id, own_address, chain, txid, group_key, identity,
  occurred_at, type, status, asset, contract, amount, counterparty, contact_id, note)
SELECT $1::bigint,
  ($2::bigint[])[CASE WHEN n <= 100000 THEN 8 WHEN h % 100 < 60 THEN 1 WHEN h % 100 < 80 THEN 2
    ELSE 3 + h % 5 END],
  CASE WHEN h % 7 > 0 THEN '0x' || lpad(to_hex(h % 9), 40, '0') END,
  CASE WHEN asset IN ('BTC', 'AIR') THEN 'bitcoin' WHEN asset = 'EUR' THEN NULL
    WHEN h % 10 < 7 THEN 'ethereum' ELSE 'base' END,
  md5(n::text) || md5((-n)::text), md5(n::text) || md5((-n)::text), 'row:' || n,
  '2014-01-01T00:00:00Z'::timestamptz + n * interval '5 minutes' + (h % 200) * interval '1 second',
  CASE WHEN asset = 'AIR' THEN 'reward' WHEN h % 100 < 48 THEN 'receive' WHEN h % 100 < 90 THEN 'send'
    WHEN h % 100 < 97 THEN 'fee' ELSE 'trade' END,
  CASE WHEN n > 995000 THEN 'pending' WHEN h % 211 = 0 AND h % 100 < 60 THEN 'failed'
    ELSE 'confirmed' END,
  asset,
  CASE WHEN asset LIKE 'T%' THEN '0x' || lpad(to_hex(h % 300), 40, 'c') END,
  CASE WHEN n <= 995000 AND h % 211 = 0 AND h % 100 < 60 THEN 0
    ELSE ((h % 2) * 2 - 1) * (1 + h % 100000) / 1000.0 END,
  CASE WHEN h % 10 = 0 THEN NULL WHEN n <= 100000 THEN $3::text
    WHEN asset IN ('BTC', 'AIR') THEN CASE WHEN h % 10 < 4 THEN $4::text
      ELSE 'bc1q' || lpad(to_hex((h / 7) % 50000), 38, '0') END
    WHEN h % 10 < 6 THEN $7::text ELSE '0x' || lpad(to_hex((h / 7) % 50000), 40, '0') END,
  CASE WHEN h % 50 = 7 THEN $5::bigint END,
  CASE WHEN n % 100000 = 0 THEN 'a rare word: xylophone' WHEN h % 5 = 0 THEN 'paid for lunch ' || h % 1000
    WHEN h % 5 = 1 THEN 'salary' ELSE '' END
FROM (
  SELECT n, h, CASE WHEN n <= 100000 THEN 'OLD' WHEN n % 200000 = 1 THEN 'RARE'
    WHEN h % 100 < 45 THEN 'BTC' WHEN h % 100 < 70 THEN 'ETH' WHEN h % 100 < 85 THEN 'USDC'
    WHEN h % 100 < 92 THEN 'AIR' WHEN h % 100 < 95 THEN 'EUR' ELSE 'T' || h % 300 END AS asset
  FROM (SELECT n, hashint8extended(n, 7) & 2147483647 AS h FROM generate_series(1, $6::int) n) r
) s
"""

LINKS = """
INSERT INTO transaction_labels
  (ledger_id, transaction_id, label_id, occurred_at, wallet_id, asset, type)
SELECT t.ledger_id, t.id, l.id, t.occurred_at, t.wallet_id, t.asset, t.type
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n,
        hashint8extended(id, 3) & 2147483647 AS h FROM transactions WHERE ledger_id = $1) t
JOIN unnest($2::bigint[]) WITH ORDINALITY l(id, place) ON CASE l.place
  WHEN 1 THEN t.h % 2 = 0 AND t.n > 500000 WHEN 2 THEN t.h % 100 = 1 WHEN 3 THEN t.n <= 100000
  WHEN 4 THEN t.n % 200000 = 2 WHEN 5 THEN t.h % 20 = 3 AND t.type = 'receive' END
"""


async def fill(
    connection: asyncpg.Connection, ledger: int, rows: int = ROWS
) -> dict[str, list[int]]:
    """Fill a ledger; returns the ids of its wallets, labels and contacts.

    The indexes are made afterwards: that takes a third of the time.
    """
    ids = {
        table: [
            row[0]
            for row in await connection.fetch(
                f"INSERT INTO {table} (ledger_id, name) SELECT $1::bigint, '{table} ' || n"
                " FROM generate_series(1, $2::int) n RETURNING id",
                ledger,
                count,
            )
        ]
        for table, count in {"wallets": 9, "labels": 6, "contacts": 400}.items()
    }
    await connection.execute(
        "INSERT INTO contact_addresses (ledger_id, contact_id, network, address)"
        " SELECT $1::bigint, ($2::bigint[])[1 + n % 400], 'evm', '0x' || lpad(to_hex(n * 11), 40, '0')"
        " FROM generate_series(1, 2000) n"
        " UNION ALL VALUES ($1::bigint, ($2::bigint[])[1], 'evm', $3::text),"
        " ($1::bigint, ($2::bigint[])[1], 'bitcoin', $4::text),"
        " ($1::bigint, ($2::bigint[])[2], 'evm', $5::text)",
        ledger,
        ids["contacts"],
        HOT,
        HOT_COIN,
        OLD_FRIEND,
    )
    hand = ids["contacts"][2]
    indexes = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " AND tablename IN ('transactions', 'transaction_labels') AND indexname LIKE 'ix_%'"
    )
    for name, _ in indexes:
        await connection.execute(f"DROP INDEX {name}")
    people = (OLD_FRIEND, HOT_COIN, hand, rows, HOT)
    await connection.execute(TRANSACTIONS, ledger, ids["wallets"], *people, timeout=600)
    await connection.execute(LINKS, ledger, ids["labels"], timeout=600)
    await connection.execute("SET maintenance_work_mem = '256MB'")
    for _, definition in indexes:
        await connection.execute(definition, timeout=600)
    await connection.execute("VACUUM ANALYZE transactions, transaction_labels", timeout=600)
    return ids
