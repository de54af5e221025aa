"""What is done with wallets in more than one step."""

from sqlalchemy.ext.asyncio import AsyncSession

from freshledger import named
from freshledger.errors import PreconditionFailed
from freshledger.merging import Seen
from freshledger.models import Wallet
from freshledger.wallets import repository


async def delete_wallet(
    session: AsyncSession,
    *,
    ledger_id: int,
    wallet_id: int,
    seen: Seen | None = None,
    transactions: int | None = None,
) -> None:
    """Delete a wallet and all its transactions; raises NotFound, PreconditionFailed.

    `transactions` is how many the caller knows of: with another number nothing is done.
    """
    await named.lock_named(session, Wallet, ledger_id=ledger_id, row_id=wallet_id)
    if transactions is not None:
        now = await repository.count_transactions(session, ledger_id=ledger_id, wallet_id=wallet_id)
        if now != transactions:
            raise PreconditionFailed(
                f"transactions: the wallet has {now:,}, not {transactions:,}; nothing was deleted",
                field="transactions",
            )
    await repository.delete_wallet(session, ledger_id=ledger_id, wallet_id=wallet_id, seen=seen)
