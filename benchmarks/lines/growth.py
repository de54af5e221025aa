"""What a page costs beside ever more ledgers, each with a user, a session and rows of its own."""

from collections import defaultdict

import click
import httpx

from benchmarks.answers import compare, read_truth, rows_of_json
from benchmarks.bench import Bench
from benchmarks.copies import copied, psql
from benchmarks.data import Books
from benchmarks.load import run_wrk
from benchmarks.measures import Measure, on_curve
from benchmarks.rows import USUAL_ASSET
from benchmarks.serving import freshledger

LINES = ("12",)

STEP, ROWS, HEADERS = 10, 50, 2_000
"""So many times more ledgers each time; rows of a page; bytes that no answer's headers reach."""

OTHERS = """
INSERT INTO users (email, name)
SELECT 'user' || n || '@example.org', 'User ' || n FROM generate_series(2, {count}) n;
INSERT INTO ledgers (name) SELECT 'Ledger ' || n FROM generate_series(2, {count}) n;
ANALYZE users, ledgers;
INSERT INTO members (ledger_id, user_id, role) SELECT l.id, u.id, 'owner'
FROM ledgers l JOIN users u ON u.name = replace(l.name, 'Ledger', 'User');
INSERT INTO sessions (user_id, token_hash, expires_at)
SELECT id, sha256(convert_to(email, 'UTF8')), '2999-01-01T00:00:00Z'
FROM users WHERE name LIKE 'User %';
INSERT INTO wallets (ledger_id, name) SELECT id, 'Wallet' FROM ledgers WHERE name LIKE 'Ledger %';
SET session_replication_role = replica;
ANALYZE wallets;
INSERT INTO transactions (ledger_id, wallet_id, own_address, chain, txid, group_key, identity,
  occurred_at, type, asset, amount)
SELECT w.ledger_id, w.id, t.own_address, t.chain, t.txid, t.group_key, t.identity,
  t.occurred_at, t.type, t.asset, t.amount
FROM wallets w CROSS JOIN (SELECT * FROM transactions WHERE ledger_id = 1 ORDER BY id LIMIT 20) t
WHERE w.ledger_id > 1
"""
"""What makes `count` ledgers of one; the page of the first may show no row of the others."""


async def measure(bench: Bench) -> list[Measure]:
    """Measure each number of ledgers once in each round."""
    size, counts = bench.size, [1]
    while size.rounds > 1 and counts[-1] < max(size.streams):
        counts.append(counts[-1] * STEP)
    books = await bench.books(size.least_rows)
    taken: dict[tuple[str, int], list[float]] = defaultdict(list)
    for place in range(size.rounds):
        for count in counts:
            bench.say(f"{count:,} ledgers: round {place + 1} of {size.rounds}")
            async with copied(bench, books) as copy:
                await psql(copy.url, OTHERS.format(count=count), "VACUUM (ANALYZE)")
                for name, milliseconds in (await _ask(copy, size.seconds)).items():
                    taken[name, count].append(milliseconds)
    return [
        on_curve("12", "ledgers", name, count, "ms", tuple(rounds))
        for (name, count), rounds in taken.items()
    ]


async def _ask(books: Books, seconds: float) -> dict[str, float]:
    """Return what one worker takes for an answer, in milliseconds."""
    path = f"/api/v1/ledgers/{books.ledger_id}/transactions?asset={USUAL_ASSET}"
    headers = {"Authorization": f"Bearer {books.token}", "Accept": "application/json"}
    async with freshledger(books.url) as server:
        async with httpx.AsyncClient(base_url=server.address) as client:
            answer = await client.get(path, headers=headers)
        if answer.status_code != httpx.codes.OK:
            raise click.ClickException(f"{path}: {answer.status_code}")
        truth = await read_truth(books.url, books.ledger_id, USUAL_ASSET, ROWS)
        compare("freshledger", rows_of_json(answer.content), truth)
        url, unchanged = server.address + path, {"If-None-Match": answer.headers["ETag"]}
        page = await run_wrk(url, headers, seconds)
        again = await run_wrk(url, headers | unchanged, seconds)
    if again.read > again.requests * HEADERS:
        raise click.ClickException(f"{path}: was answered anew, though nothing has changed")
    return {"a JSON page": 1000 / page.rate, "the same, unchanged": 1000 / again.rate}
