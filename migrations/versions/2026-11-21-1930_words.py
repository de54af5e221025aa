"""The words of notes are indexed with their ledger and thirty days: the next ones are found first.

An index of words is in no order. Of a word that many notes of ten years have, only those of the
days that a page is about are read now; and none of other ledgers.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FUNCTIONS = r"""
-- Which thirty days, counted from 1970 on, a moment is in.
CREATE FUNCTION month_of(at timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN floor(extract(epoch FROM at AT TIME ZONE 'UTC') / 2592000)::integer;

-- A note's words, each with its ledger and month before it. What is searched for is shorter than
-- what is left of a long word. An index is made where no function of ours is found by its name
-- alone, so the month is reckoned here again.
CREATE FUNCTION placed_words(ledger bigint, at timestamptz, note text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE month integer := floor(extract(epoch FROM at AT TIME ZONE 'UTC') / 2592000);
BEGIN
  RETURN array_to_tsvector(ARRAY(
    SELECT ledger || '/' || month || '/' || left(word, 400)
    FROM unnest(tsvector_to_array(to_tsvector('simple'::regconfig, note))) word));
END $$;

-- The same of a search, in which every word is a prefix. Words that have to follow each other
-- (a-b) are only looked for: whoever asks checks the note itself.
CREATE FUNCTION placed_query(ledger bigint, month integer, query tsquery) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  RETURN regexp_replace(regexp_replace(query::text, '<(-|\d+)>', '&', 'g'),
    '''((?:[^'']|'''')+)'':\*', '''' || ledger || '/' || month || '/\1'':*', 'g')::tsquery;
END $$;
"""


def run(statements: str) -> None:
    """asyncpg prepares what has parameters, and a script has none: send it as one."""
    op.get_bind().exec_driver_sql("DO $do$ BEGIN EXECUTE $sql$" + statements + "$sql$; END $do$")


def upgrade() -> None:
    run(FUNCTIONS)
    op.drop_index("ix_transactions_note", table_name="transactions")
    op.create_index(
        "ix_transactions_words",
        "transactions",
        [sa.text("placed_words(ledger_id, occurred_at, note)")],
        postgresql_using="gin",
        postgresql_where=sa.text("note <> ''"),
    )


def downgrade() -> None:
    op.drop_index("ix_transactions_words", table_name="transactions")
    op.create_index(
        "ix_transactions_note",
        "transactions",
        [sa.text("to_tsvector('simple'::regconfig, note)")],
        postgresql_using="gin",
        postgresql_where=sa.text("note <> ''"),
    )
    run(
        "DROP FUNCTION placed_query(bigint, integer, tsquery);"
        "DROP FUNCTION placed_words(bigint, timestamptz, text); DROP FUNCTION month_of(timestamptz)"
    )
