"""The rows of a measured ledger: skewed, the same every time, made by PostgreSQL itself.

They are skewed in the ways that make a plan that is good on average bad: values that half of
all rows have, values that only the oldest rows have, and pairs of common values that no row
has together. Row n (1 is the oldest) has the id n. Whatever their number, they span the nine
and a half years from 2014 on. The ledger has the id 1, and so begin its wallets, labels and
contacts: the database must be empty.
"""

USUAL_ASSET = "BTC"
"""What about half of all rows are in."""

HOT, HOT_COIN = "0x" + "a" * 40, "bc1q" + "a" * 38
OLD_FRIEND = "0x" + "b" * 40
NEVER = "0x" + "f" * 40

NAMED = {"wallets": 9, "labels": 6, "contacts": 400}
"""How many of each the ledger has."""

ADDRESSES = f"""
INSERT INTO contact_addresses (ledger_id, contact_id, network, address)
SELECT 1, CASE WHEN n > 1700 THEN 4 ELSE 1 + n % 400 END, 'evm',
  '0x' || lpad(to_hex(n * 11), 40, '0') FROM generate_series(1, 2000) n
UNION ALL VALUES (1, 1, 'evm', '{HOT}'), (1, 1, 'bitcoin', '{HOT_COIN}'), (1, 2, 'evm', '{OLD_FRIEND}')
"""
"""The fourth contact has three hundred; the third is set by hand."""

TRANSACTIONS = f"""
SELECT 1::bigint AS ledger_id, n AS id,
  (CASE WHEN n <= old THEN 8 WHEN h % 100 < 60 THEN 1 WHEN h % 100 < 80 THEN 2
    ELSE 3 + h % 5 END)::bigint AS wallet_id,
  CASE WHEN h % 7 > 0 THEN '0x' || lpad(to_hex(h % 9), 40, '0') END AS own_address,
  CASE WHEN asset IN ('BTC', 'AIR') THEN 'bitcoin' WHEN asset = 'EUR' THEN NULL
    WHEN h % 10 < 7 THEN 'ethereum' ELSE 'base' END AS chain,
  md5(n::text) || md5((-n)::text) AS txid, md5(n::text) || md5((-n)::text) AS group_key,
  'row:' || n AS identity,
  '2014-01-01T00:00:00Z'::timestamptz + n * (interval '300000000 seconds' / rows)
    + (h % 200) * interval '1 second' AS occurred_at,
  CASE WHEN asset = 'AIR' THEN 'reward' WHEN h % 100 < 48 THEN 'receive' WHEN h % 100 < 90 THEN 'send'
    WHEN h % 100 < 97 THEN 'fee' ELSE 'trade' END AS type,
  CASE WHEN n > rows - rows / 200 THEN 'pending' WHEN h % 211 = 0 AND h % 100 < 60 THEN 'failed'
    ELSE 'confirmed' END AS status,
  asset,
  CASE WHEN asset LIKE 'T%' THEN '0x' || lpad(to_hex(h % 300), 40, 'c') END AS contract,
  CASE WHEN n <= rows - rows / 200 AND h % 211 = 0 AND h % 100 < 60 THEN 0
    ELSE ((h % 2) * 2 - 1) * (1 + h % 100000) / 1000.0 END AS amount,
  CASE WHEN h % 10 = 0 THEN NULL WHEN n <= old THEN '{OLD_FRIEND}'
    WHEN asset IN ('BTC', 'AIR') THEN CASE WHEN h % 10 < 4 THEN '{HOT_COIN}'
      ELSE 'bc1q' || lpad(to_hex((h / 7) % 50000), 38, '0') END
    WHEN h % 10 < 6 THEN '{HOT}' ELSE '0x' || lpad(to_hex((h / 7) % 50000), 40, '0') END
    AS counterparty,
  CASE WHEN h % 50 = 7 THEN 3::bigint END AS contact_id,
  CASE WHEN n % (rows / 10) = 0 THEN 'a rare word: xylophone'
    WHEN h % 5 = 0 THEN 'paid for lunch ' || h % 1000
    WHEN h % 5 = 1 THEN 'salary' ELSE '' END AS note
FROM (
  SELECT *, CASE WHEN n <= old THEN 'OLD' WHEN n % (rows / 5) = 1 THEN 'RARE'
    WHEN h % 100 < 55 THEN 'BTC' WHEN h % 100 < 75 THEN 'ETH' WHEN h % 100 < 85 THEN 'USDC'
    WHEN h % 100 < 92 THEN 'AIR' WHEN h % 100 < 95 THEN 'EUR' ELSE 'T' || h % 300 END AS asset
  FROM (SELECT n, hashint8extended(n, 7) & 2147483647 AS h, rows, rows / 10 AS old
        FROM (SELECT $1::bigint AS rows) size, generate_series(1, rows) n) r
) s
"""
"""$1 is their number, at least 1,000."""

LINKS = """
SELECT t.ledger_id, t.id AS transaction_id, l.id AS label_id, t.occurred_at, t.wallet_id, t.asset,
  t.type
FROM (SELECT *, hashint8extended(id, 3) & 2147483647 AS h FROM transactions) t
JOIN (SELECT $1::bigint AS rows, generate_series(1, 5)::bigint AS id) l ON CASE l.id
  WHEN 1 THEN t.h % 2 = 0 AND t.id > l.rows / 2 WHEN 2 THEN t.h % 100 = 1
  WHEN 3 THEN t.id <= l.rows / 10 WHEN 4 THEN t.id % (l.rows / 5) = 2
  WHEN 5 THEN t.h % 20 = 3 AND t.type = 'receive' END
"""
"""Nothing has the sixth label."""
