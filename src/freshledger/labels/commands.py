"""What is done with labels in more than one step."""

from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.errors import PreconditionFailed
from freshledger.labels import repository
from freshledger.merging import Seen
from freshledger.models import Label


async def merge_labels(session: AsyncSession, *, ledger_id: int, gone: int, kept: int) -> None:
    """Put label `kept` wherever `gone` is, and delete `gone`; raises NotFound or Invalid."""
    await named.lock_pair(session, Label, ledger_id=ledger_id, gone=gone, kept=kept)
    await repository.move_links(session, ledger_id=ledger_id, gone=gone, kept=kept)
    await repository.delete_label(session, ledger_id=ledger_id, label_id=gone)


async def delete_label(
    session: AsyncSession,
    *,
    ledger_id: int,
    label_id: int,
    seen: Seen | None = None,
    transactions: int | None = None,
) -> None:
    """Delete a label; raises NotFound, PreconditionFailed.

    `transactions` is how many the caller saw wear it: with another number nothing is done.
    """
    if transactions is not None:
        await named.lock_named(session, Label, ledger_id=ledger_id, row_id=label_id)
        label = await repository.get_label(session, ledger_id=ledger_id, label_id=label_id)
        if label.transactions != transactions:
            raise PreconditionFailed(
                f"transactions: the label is on {label.transactions:,} transactions now, not on"
                f" {transactions:,}; nothing was deleted",
                field="transactions",
            )
    await repository.delete_label(session, ledger_id=ledger_id, label_id=label_id, seen=seen)
