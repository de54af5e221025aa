"""freshledger's tables as Django maps them.

They have keys of several columns, which Django joins by ForeignObject; it reads them, and makes
none (`managed = False`).
"""
# ruff: noqa: DJ001, DJ008 - the columns are as they are, and nobody prints the rows

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Model(models.Model):
    """A table of freshledger's."""

    class Meta:
        """Tables that somebody else makes."""

        abstract = True
        managed = False
        app_label = "ledger"


class Wallet(Model):
    """A wallet."""

    id = models.BigIntegerField(primary_key=True)
    ledger_id = models.BigIntegerField()
    name = models.TextField()

    class Meta(Model.Meta):
        """Its table."""

        db_table = "wallets"


class Contact(Model):
    """A contact."""

    id = models.BigIntegerField(primary_key=True)
    ledger_id = models.BigIntegerField()
    name = models.TextField()

    class Meta(Model.Meta):
        """Its table."""

        db_table = "contacts"


class ContactAddress(Model):
    """An address of a contact."""

    id = models.BigIntegerField(primary_key=True)
    ledger_id = models.BigIntegerField()
    address = models.TextField()
    network = models.TextField()
    contact_id = models.BigIntegerField()
    contact = models.ForeignObject(
        Contact, models.DO_NOTHING, ["ledger_id", "contact_id"], ["ledger_id", "id"]
    )

    class Meta(Model.Meta):
        """Its table."""

        db_table = "contact_addresses"


class Label(Model):
    """A label."""

    id = models.BigIntegerField(primary_key=True)
    ledger_id = models.BigIntegerField()
    name = models.TextField()
    color = models.TextField()

    class Meta(Model.Meta):
        """Its table."""

        db_table = "labels"


class Transaction(Model):
    """A movement, with the columns that the answers show."""

    id = models.BigIntegerField(primary_key=True)
    ledger_id = models.BigIntegerField()
    wallet_id = models.BigIntegerField()
    wallet = models.ForeignObject(
        Wallet, models.DO_NOTHING, ["ledger_id", "wallet_id"], ["ledger_id", "id"]
    )
    own_address = models.TextField(null=True)
    chain = models.TextField(null=True)
    network = models.TextField(null=True)
    txid = models.TextField(null=True)
    group_key = models.TextField()
    occurred_at = models.DateTimeField()
    type = models.TextField()
    status = models.TextField()
    asset = models.TextField()
    contract = models.TextField(null=True)
    amount = models.DecimalField(max_digits=None, decimal_places=None)
    counterparty = models.TextField(null=True)
    contact_id = models.BigIntegerField(null=True)
    set_contact = models.ForeignObject(
        Contact, models.DO_NOTHING, ["ledger_id", "contact_id"], ["ledger_id", "id"],
        null=True, related_name="+",
    )  # fmt: skip
    known = models.ForeignObject(
        ContactAddress, models.DO_NOTHING, ["ledger_id", "counterparty", "network"],
        ["ledger_id", "address", "network"], null=True, related_name="+",
    )  # fmt: skip
    note = models.TextField()
    fiat_value = models.DecimalField(max_digits=None, decimal_places=None, null=True)
    fiat_currency = models.TextField(null=True)
    hand_edited = ArrayField(models.TextField())
    version = models.BigIntegerField()

    class Meta(Model.Meta):
        """Its table."""

        db_table = "transactions"

    @property
    def shown_contact(self) -> Contact | None:
        """The contact that was set by hand, else the one that has the counterparty's address."""
        if self.contact_id is not None:
            return self.set_contact
        return self.known.contact if self.known else None


class TransactionLabel(Model):
    """A label on a transaction."""

    pk = models.CompositePrimaryKey("ledger_id", "transaction_id", "label_id")
    ledger_id = models.BigIntegerField()
    transaction = models.ForeignKey(Transaction, models.DO_NOTHING, related_name="links")
    label_id = models.BigIntegerField()
    label = models.ForeignObject(
        Label, models.DO_NOTHING, ["ledger_id", "label_id"], ["ledger_id", "id"]
    )

    class Meta(Model.Meta):
        """Its table."""

        db_table = "transaction_labels"


class Head(Model):
    """The version a ledger is at."""

    ledger_id = models.BigIntegerField(primary_key=True)
    version = models.BigIntegerField()

    class Meta(Model.Meta):
        """Its table."""

        db_table = "heads"


class Member(Model):
    """A user's role in a ledger."""

    pk = models.CompositePrimaryKey("ledger_id", "user_id")
    ledger_id = models.BigIntegerField()
    head = models.ForeignObject(
        Head, models.DO_NOTHING, ["ledger_id"], ["ledger_id"], related_name="members"
    )
    user_id = models.BigIntegerField()
    role = models.TextField()

    class Meta(Model.Meta):
        """Its table."""

        db_table = "members"


class Token(Model):
    """An API token; only its SHA-256 is kept."""

    id = models.BigIntegerField(primary_key=True)
    ledger_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    member = models.ForeignObject(
        Member, models.DO_NOTHING, ["ledger_id", "user_id"], ["ledger_id", "user_id"]
    )
    token_hash = models.BinaryField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta(Model.Meta):
        """Its table."""

        db_table = "tokens"
