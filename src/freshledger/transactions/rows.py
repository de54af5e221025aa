"""What the repository gives back: transactions as pages show them, and sums."""

from datetime import datetime
from decimal import Decimal

import msgspec


class LabelTag(msgspec.Struct, frozen=True):
    """A label on a transaction."""

    id: int
    name: str
    color: str


class TransactionRow(msgspec.Struct, frozen=True):
    """One movement with the names it is shown with.

    `contact_id` and `contact` are the hand-set contact (`contact_by_hand`), else the one that
    has the counterparty's address. `version` is the row's own; `hand_edited` names the
    columns that a person corrected.
    """

    id: int
    wallet_id: int
    wallet: str
    own_address: str | None
    chain: str | None
    network: str | None
    txid: str | None
    group_key: str
    identity: str
    occurrence: int
    occurred_at: datetime
    type: str
    status: str
    asset: str
    contract: str | None
    amount: Decimal
    counterparty: str | None
    contact_id: int | None
    contact: str | None
    contact_by_hand: bool
    labels: tuple[LabelTag, ...]
    note: str
    fiat_value: Decimal | None
    fiat_currency: str | None
    hand_edited: tuple[str, ...]
    version: int


class AssetTotal(msgspec.Struct, frozen=True):
    """Sums of one asset, told apart by contract; `money_in`, `money_out` and `fees` are sizes.

    They and `net` count confirmed rows; `pending` is the net of those that are pending.
    """

    asset: str
    contract: str | None
    rows: int
    money_in: Decimal
    money_out: Decimal
    fees: Decimal
    net: Decimal
    pending: Decimal


class Totals(msgspec.Struct, frozen=True):
    """What a filter lets in, at the ledger's `version`; assets by number of rows."""

    version: int
    count: int
    pending_count: int
    assets: tuple[AssetTotal, ...]
