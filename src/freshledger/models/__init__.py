"""All tables; importing this package makes the metadata complete."""

from freshledger.models.accounts import (
    IdempotencyKey,
    Invitation,
    LoginFailure,
    Session,
    Token,
    TokenUse,
    User,
)
from freshledger.models.base import Base
from freshledger.models.contacts import Contact, ContactAddress
from freshledger.models.imports import (
    DroppedImportRows,
    Export,
    Import,
    ImportFile,
    ImportReference,
    ImportRow,
    StagedRow,
)
from freshledger.models.labels import COLORS, Label, ReferenceLabel, TransactionLabel
from freshledger.models.ledgers import Change, Head, Ledger, Member, Revision, SavedFilter, Undo
from freshledger.models.transactions import STATUSES, TYPES, Tombstone, Transaction
from freshledger.models.wallets import Wallet, WalletAddress

__all__ = [
    "COLORS",
    "STATUSES",
    "TYPES",
    "Base",
    "Change",
    "Contact",
    "ContactAddress",
    "DroppedImportRows",
    "Export",
    "Head",
    "IdempotencyKey",
    "Import",
    "ImportFile",
    "ImportReference",
    "ImportRow",
    "Invitation",
    "Label",
    "Ledger",
    "LoginFailure",
    "Member",
    "ReferenceLabel",
    "Revision",
    "SavedFilter",
    "Session",
    "StagedRow",
    "Token",
    "TokenUse",
    "Tombstone",
    "Transaction",
    "TransactionLabel",
    "Undo",
    "User",
    "Wallet",
    "WalletAddress",
]
