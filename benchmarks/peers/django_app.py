"""Django REST framework on gunicorn: a ModelSerializer, and its paginators.

With a count it is LimitOffsetPagination, without one CursorPagination.
"""

import hashlib
from typing import Any, ClassVar

from django.db.models import F, Prefetch, Q, QuerySet
from django.db.models.functions import Lower, Now
from django.urls import path
from rest_framework import generics, pagination, permissions, serializers
from rest_framework.authentication import (
    BaseAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from benchmarks.peers.django_models import Label, Token, Transaction, TransactionLabel

ROWS = 50


class TokenAuthentication(BaseAuthentication):
    """Lets only members of the ledger in, with a token."""

    def authenticate(self, request: Request) -> tuple[Token, None]:
        """Return the token, with role and version; raises AuthenticationFailed."""
        secret = get_authorization_header(request).removeprefix(b"Bearer ")
        found = (
            Token.objects.filter(
                Q(expires_at=None) | Q(expires_at__gt=Now()),
                ledger_id=request.parser_context["kwargs"]["ledger_id"],
                token_hash=hashlib.sha256(secret).digest(),
                revoked_at=None,
            )
            .annotate(role=F("member__role"), ledger_version=F("member__head__version"))
            .first()
        )
        if found is None:
            raise AuthenticationFailed
        return found, None

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's
        """Say what kind of secret is wanted."""
        return "Bearer"


class IsMember(permissions.BasePermission):
    """Lets whoever has a token of a member read."""

    def has_permission(self, request: Request, view: object) -> bool:  # noqa: ARG002 - the framework's
        """Tell whether the request has one."""
        return request.user is not None


class LabelSerializer(serializers.ModelSerializer):
    """What is answered of a label."""

    class Meta:
        """Its fields."""

        model = Label
        fields = ("id", "name", "color")


class TransactionSerializer(serializers.ModelSerializer):
    """What is answered of a movement."""

    wallet = serializers.CharField(source="wallet.name")
    amount = serializers.DecimalField(max_digits=None, decimal_places=None)
    fiat_value = serializers.DecimalField(max_digits=None, decimal_places=None)
    contact = serializers.CharField(source="shown_contact.name", default=None)
    contact_id = serializers.IntegerField(source="shown_contact.id", default=None)
    contact_by_hand = serializers.SerializerMethodField()
    labels = serializers.SerializerMethodField()

    class Meta:
        """Its fields."""

        model = Transaction
        fields = (
            "id", "wallet", "wallet_id", "own_address", "chain", "txid", "group_key",
            "occurred_at", "type", "status", "asset", "contract", "amount", "counterparty",
            "contact", "contact_id", "contact_by_hand", "labels", "note", "fiat_value",
            "fiat_currency", "hand_edited", "version",
        )  # fmt: skip

    def get_contact_by_hand(self, row: Transaction) -> bool:
        """Tell whether somebody set the contact."""
        return row.contact_id is not None

    def get_labels(self, row: Transaction) -> list[dict[str, Any]]:
        """Return the labels in the order of their names."""
        return LabelSerializer([link.label for link in row.links.all()], many=True).data


class Counting(pagination.LimitOffsetPagination):
    """By number, with a count."""

    default_limit = ROWS
    max_limit = 500


class ByCursor(pagination.CursorPagination):
    """By key, without a count."""

    page_size = ROWS
    ordering = ("-occurred_at", "-id")


class ListTransactions(generics.ListAPIView):
    """A page, and how many rows there are."""

    serializer_class = TransactionSerializer
    pagination_class: ClassVar[type[pagination.BasePagination]] = Counting
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsMember,)

    def get_queryset(self) -> QuerySet[Transaction]:
        """Return what the address filters by, with all names."""
        ledger_id = self.kwargs["ledger_id"]
        links = TransactionLabel.objects.filter(ledger_id=ledger_id).select_related("label")
        return (
            Transaction.objects.filter(
                ledger_id=ledger_id, asset=self.request.query_params["asset"]
            )
            .order_by("-occurred_at", "-id")
            .select_related("wallet", "set_contact", "known__contact")
            .prefetch_related(Prefetch("links", links.order_by(Lower("label__name"), "label__id")))
        )


class ListNewest(ListTransactions):
    """A page; the rows are not counted."""

    pagination_class = ByCursor


urlpatterns = [
    path("ledgers/<int:ledger_id>/transactions", ListTransactions.as_view()),
    path("ledgers/<int:ledger_id>/newest", ListNewest.as_view()),
]
