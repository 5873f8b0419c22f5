"""`/api/v1/bulk-changes/`: one change of many leads. A preview says what it would do, and a confirmation starts it."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from django.core.exceptions import ValidationError as ModelError
from django.db import OperationalError
from django.db.models import Model
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.bulk_change_bodies import (
    AskedChangeSerializer,
    BulkChangeSerializer,
    ConfirmedChangeSerializer,
    PreviewSerializer,
)
from crm.api.permissions import RolePermission
from crm.api.schema import DETAIL
from crm.api.views import IDEMPOTENCY_KEY, CreatableViewSet
from crm.api.viewsets import Conflict
from crm.models import BulkChange, BulkKind
from crm.models.job import JobState
from crm.models.key_selection import keys_of
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.selectors.bulk_questions import bulk_question, changed_since, confirmed_leads
from crm.services import bulk_changes
from crm.services.lead_changes import MoreThanConfirmed
from crm.services.rate_limits import is_within, seconds_left
from postgresql.availability import took_too_long
from postgresql.bounds import LONG_SECONDS, statements_may_take

# Previews and starts per company: each counts all its leads.
COUNTED_PER_MINUTE: Final = 20
MORE: Final = (
    "Nothing was changed: numbers or rules are different now, or the preview is more than a day old. Preview the "
    "change again."
)
ENDED: Final = "This change has ended already. What it has done stays."
AT_WORK: Final = (
    "Not cancelled yet: it is changing some leads right now. Try again in a moment."
)

S = TypeVar("S", bound=AskedChangeSerializer)


class BulkChangeViewSet(CreatableViewSet[BulkChange]):
    """The company's bulk changes of the last month, newest first. A worker makes them, one after the other.

    Each lead is changed as if it were the only one, after the company's time to undo. Deleting needs the role Admin.
    """

    queryset = BulkChange.objects.all()
    serializer_class = BulkChangeSerializer
    nouns = (Noun.LEADS,)
    actions = dict.fromkeys(
        ("list", "retrieve", "create", "preview", "cancel"), Action.EDIT_LEADS
    )

    @extend_schema(request=AskedChangeSerializer, responses=PreviewSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What a change would do: how many leads it changes, what it sends, and what else it deletes.

        A preview changes nothing.
        """
        asked = self._body(AskedChangeSerializer)
        with statements_may_take(LONG_SECONDS):
            question = bulk_question(self.caller.company, asked.change, asked.selected)
        return Response(
            PreviewSerializer(question, context={"left_out": asked.left_out}).data
        )

    @extend_schema(request=ConfirmedChangeSerializer, parameters=[IDEMPOTENCY_KEY])
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Start a change, with `confirm` from its preview. It does no more than was confirmed.

        With an Idempotency-Key, it is started only once, however often the request is repeated.
        """
        return super().create(request, *args, **kwargs)

    def _check_may_add(self) -> None:
        kind = None
        if isinstance(self.request.data, Mapping):
            kind = self.request.data.get("kind")
        if kind in BulkKind.values and not self.caller.may(BulkKind(kind).needs):
            raise PermissionDenied(RolePermission.message)

    def _add(self) -> Model:
        asked = self._body(ConfirmedChangeSerializer)
        try:
            with statements_may_take(LONG_SECONDS):
                leads = confirmed_leads(asked.change, asked.selected, asked.confirmed)
                return bulk_changes.start(
                    author=self.caller,
                    change=asked.change,
                    keys=keys_of(leads),
                    confirmed=asked.confirmed,
                    since=changed_since(asked.selected, asked.confirmed),
                    filters=asked.filters_in_use,
                )
        except MoreThanConfirmed as more:
            raise Conflict(MORE) from more
        # No lead is left, or too many changes are running.
        except ModelError as refusal:
            raise Conflict(refusal.message) from refusal

    @extend_schema(request=None, responses={200: BulkChangeSerializer, 409: DETAIL})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the change; leads changed by then stay changed.

        409 if it has ended otherwise, or is changing some leads at that moment."""
        bulk_change = self.get_object()
        try:
            is_cancelled = bulk_changes.cancel(bulk_change=bulk_change)
        except OperationalError as error:
            if not took_too_long(error):
                raise
            raise Conflict(AT_WORK) from error
        bulk_change.refresh_from_db()
        if not is_cancelled and bulk_change.state != JobState.CANCELLED:
            raise Conflict(ENDED)
        return Response(self.get_serializer(bulk_change).data)

    def _body(self, kind: type[S]) -> S:
        """The valid body. Raises ValidationError, and Throttled if the company has sent too many of these."""
        body = kind(data=self.request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        if not is_within(
            f"company:{self.caller.company_id}:bulk-changes", at_most=COUNTED_PER_MINUTE
        ):
            raise Throttled(wait=seconds_left())
        return body
