"""`/api/v1/leads/`, `…/deals/`, `…/tasks/`, the index and the 404. The models record the CRM events of changes."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from django.conf import settings
from django.db.models import Model, Prefetch, QuerySet
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm.api.conditional import ConditionalViewSet, conditional
from crm.api.deals import DealSerializer
from crm.api.erasures import ErasureSerializer, ErasureStateSerializer
from crm.api.filters import list_parameters
from crm.api.merges import MergeSerializer
from crm.api.pagination import ListPagination
from crm.api.permissions import AnyCaller
from crm.api.schema import DETAIL
from crm.api.serializers import LeadSerializer, TaskSerializer
from crm.api.viewsets import GRACE, CompanyViewSet, Conflict, M
from crm.lists.deals import DEALS
from crm.lists.leads import LEADS
from crm.lists.tasks import TASKS
from crm.models import Company, Deal, Lead, Task
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.models.tracking.origin import current_actor
from crm.models.validators import is_number
from crm.selectors.erasure import Namesake, namesakes_of
from crm.services.editing import delete, lock_with_lead
from crm.services.erasure import erase_leads
from crm.services.idempotency import save_once
from crm.services.lead_merges import MergeRefused, merge_leads
from crm.services.tasks import delete_task

# `Idempotency-Key`: a request that is repeated because its response was lost adds nothing.

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
IDEMPOTENCY_PATTERN: Final = r"[!-~]{1,200}"
INVALID_KEY: Final = "Enter 1 to 200 printable ASCII characters without spaces."

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    IDEMPOTENCY_HEADER,
    {"type": "string", "pattern": f"^{IDEMPOTENCY_PATTERN}$"},
    OpenApiParameter.HEADER,
    description="Any text you choose. If you send the same body again with the same key within a week, nothing more is "
    "added, and the response has what the first request added.",
)


class AddedRowGone(Conflict):
    """The row that the request added has since been deleted or erased."""

    default_detail = "The row that this request added no longer exists. Send another Idempotency-Key to add it again."


def saved_once(
    request: Request, company: Company, sent: Any, save: Callable[[], Model]
) -> tuple[int, Model | None]:
    """Validate and save, unless the same request with its key has already done so. Returns what `save_once` does.

    Two requests are the same if they have the same path, key and `sent`. Without a key, always saves. Raises
    ValidationError for an invalid key.
    """
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is None:
        added = save()
        return added.pk, added
    if not re.fullmatch(IDEMPOTENCY_PATTERN, key):
        raise ValidationError({IDEMPOTENCY_HEADER: [INVALID_KEY]})
    return save_once(
        company=company, sha256=_sha256(request.path, key, sent), save=save
    )


def _sha256(path: str, key: str, body: Any) -> str:
    return hashlib.sha256(
        json.dumps([path, key, body], sort_keys=True).encode()
    ).hexdigest()


# Leads, deals and tasks

GRACE_PERIOD: Final = OpenApiParameter(
    GRACE,
    bool,
    description="Send its conversions only after your company's time to undo, as for a change in the browser. Without "
    "it, they are sent at once.",
)


class CreatableViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    CompanyViewSet[M],
):
    """The operations on rows that are added, and neither changed nor deleted."""

    @extend_schema(parameters=[IDEMPOTENCY_KEY])
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add one. With an Idempotency-Key, it is added only once, however often the request is repeated."""
        return self._created(request.data)

    def _created(self, sent: Any) -> Response:
        """The response to a request that adds what was `sent`."""
        self._check_may_add()  # also for a repeat, because the response has the row
        pk, added = saved_once(self.request, self.caller.company, sent, self._add)
        row = added or self._added_before(pk)
        if row is None:
            raise AddedRowGone
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)

    def _check_may_add(self) -> None:
        """Raise PermissionDenied if the caller's role may add such rows, but not the one that was sent."""

    def _added_before(self, pk: int) -> Model | None:
        """The row that an earlier request has added. None if it is gone."""
        return self.get_queryset().filter(pk=pk).first()

    def _add(self) -> Model:
        """Validate and save what was sent. Not done for a repeat: the lists may no longer offer what it has."""
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        added: Model = serializer.save()
        return added


class AddableViewSet(mixins.DestroyModelMixin, CreatableViewSet[M]):
    """The operations on rows that are added and deleted, and not changed."""


class WritableViewSet(mixins.UpdateModelMixin, AddableViewSet[M]):
    """All operations on one kind of row."""


class RowWithLeadViewSet(ConditionalViewSet[M], WritableViewSet[M]):
    """All operations on leads, or on what belongs to one, with ETags."""

    def lock_row(self) -> None:
        row: Any = self.get_object()
        lock_with_lead(row)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.if_unchanged(
            lambda: super(RowWithLeadViewSet, self).update(request, *args, **kwargs)
        )

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.if_unchanged(
            lambda: super(RowWithLeadViewSet, self).destroy(request, *args, **kwargs)
        )


# What a role has to allow for rows that belong to leads, and are no person's data.
EDITED_WITH_LEADS: Final = {
    "list": Action.SEE_LEADS,
    "retrieve": Action.SEE_LEADS,
    "create": Action.EDIT_LEADS,
    "update": Action.EDIT_LEADS,
    "partial_update": Action.EDIT_LEADS,
    "destroy": Action.EDIT_LEADS,
}


@extend_schema_view(
    create=extend_schema(parameters=[IDEMPOTENCY_KEY, GRACE_PERIOD]),
    update=extend_schema(parameters=[GRACE_PERIOD]),
    partial_update=extend_schema(parameters=[GRACE_PERIOD]),
)
class PipelineViewSet(RowWithLeadViewSet[M]):
    """The operations on leads and on deals, whose changes may cause conversions."""

    takes_grace = True
    actions = {**EDITED_WITH_LEADS, "destroy": Action.DELETE_LEADS}

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        if self.action == "list":
            return rows.prefetch_related("tags", "external_ids")
        return rows

    def perform_destroy(self, instance: Any) -> None:
        delete(row=instance)


MERGED: Final = "Lead {} was merged into lead {}."


@conditional
@extend_schema_view(list=extend_schema(parameters=list_parameters(LEADS)))
class LeadViewSet(PipelineViewSet[Lead]):
    """The company's leads, newest first."""

    queryset = Lead.objects.current()
    serializer_class = LeadSerializer
    listed = LEADS
    pagination_class = ListPagination
    nouns = (Noun.LEADS,)
    actions = {
        **PipelineViewSet.actions,
        "merge": Action.EDIT_LEADS,
        "erasure": Action.DELETE_LEADS,
        "erase": Action.DELETE_LEADS,
    }

    @extend_schema(request=MergeSerializer, responses=LeadSerializer)
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Merge another lead into this one. No conversion is sent, lost or doubled. Returns the merged lead.

        A repeated request changes nothing, and gets the same response.
        """
        kept = self.get_object()
        body = MergeSerializer(data=request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        gone: Lead = body.validated_data["lead"]
        try:
            if gone.merged_into_id != kept.pk:
                merge_leads(
                    kept=kept, gone=gone, taken=body.validated_data.get("take", ())
                )
        except MergeRefused as refused:
            raise Conflict(str(refused)) from refused
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses=ErasureStateSerializer)
    @action(detail=True, methods=["get"])
    def erasure(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List other leads with the same name or address, which may be the same person. Nothing is erased."""
        return self._erasure([], namesakes_of(self.get_object()))

    @extend_schema(
        request=ErasureSerializer, responses={200: ErasureStateSerializer, 409: DETAIL}
    )
    @erasure.mapping.post
    def erase(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Erase the person for good, and the leads in `also`. The answer comes once no request contains them."""
        lead = self.get_object()
        namesakes = namesakes_of(lead)
        body = ErasureSerializer(
            data=request.data,
            context={**self.get_serializer_context(), "namesakes": namesakes},
        )
        body.is_valid(raise_exception=True)
        also = {*body.validated_data.get("also", ())}
        chosen = [lead, *(each.lead for each in namesakes if each.lead.pk in also)]
        receipts = erase_leads(leads=chosen, actor=current_actor())
        return self._erasure(
            [receipt.object_id for receipt in receipts],
            [each for each in namesakes if each.lead.pk not in also],
        )

    def _erasure(
        self, erased: list[int | None], others: Sequence[Namesake]
    ) -> Response:
        return Response(
            ErasureStateSerializer({"erased": erased, "others": others}).data
        )

    def get_object(self) -> Lead:
        """The lead in the URL. Raises NotFound, which names the lead that it was merged into."""
        try:
            return super().get_object()
        except Http404:
            self._raise_if_merged(self.kwargs["pk"])
            raise

    def _raise_if_merged(self, pk: str) -> None:
        merged = Lead.objects.for_company(self.caller.company).filter(
            merged_into__isnull=False
        )
        if lead := merged.filter(pk=pk).first() if is_number(pk) else None:
            raise NotFound(MERGED.format(lead.pk, lead.merged_into_id)) from None

    def _added_before(self, pk: int) -> Model | None:
        return (
            super()._added_before(pk)
            or self.get_queryset().filter(merged_leads=pk).first()
        )


@conditional
@extend_schema_view(list=extend_schema(parameters=list_parameters(DEALS)))
class DealViewSet(PipelineViewSet[Deal]):
    """The company's deals, newest first."""

    queryset = Deal.objects.all()
    serializer_class = DealSerializer
    listed = DEALS
    pagination_class = ListPagination
    nouns = (Noun.DEALS,)

    def get_queryset(self) -> QuerySet[Deal]:
        deals = super().get_queryset()
        people = Prefetch(
            "people", Lead.objects.for_company(self.caller.company).only("pk")
        )
        return deals.prefetch_related(people) if self.action == "list" else deals


@conditional
@extend_schema_view(list=extend_schema(parameters=list_parameters(TASKS)))
class TaskViewSet(RowWithLeadViewSet[Task]):
    """The company's tasks, newest first. Anyone who may edit leads may delete tasks."""

    queryset = Task.objects.select_related("lead", "deal")
    serializer_class = TaskSerializer
    listed = TASKS
    pagination_class = ListPagination
    nouns = (Noun.TASKS,)
    actions = EDITED_WITH_LEADS

    def perform_destroy(self, instance: Any) -> None:
        delete_task(task=instance)


class ApiNotFoundView(APIView):
    """404 as JSON, for any caller and any method."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotFound(
            "There is nothing at this URL. API URLs end with a slash; see /api/v1/ for a list."
        )


class IndexView(APIView):
    """`/api/v1/`: the version, and the URLs of the lists (`lists` maps titles to routes), the schema and the docs."""

    permission_classes = [AnyCaller]
    schema = None
    http_method_names = ["get", "head"]
    lists: dict[str, str] = {}

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        names = {**self.lists, "schema": "api-schema", "docs": "api-docs"}
        urls = {
            title: request.build_absolute_uri(reverse(name))
            for title, name in names.items()
        }
        return Response({"version": settings.VERSION, **urls})
