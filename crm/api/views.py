"""`/api/v1/leads/`, `/api/v1/deals/`, the index and the 404. The models record the CRM events of changes."""

from typing import Any, NoReturn

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm.api.filters import LeadFilter
from crm.api.idempotency import IDEMPOTENCY_KEY, AddedRowGone, saved_once
from crm.api.permissions import AnyCaller
from crm.api.serializers import DealSerializer, LeadSerializer
from crm.api.viewsets import CompanyViewSet, M
from crm.models import Deal, Lead
from crm.models.roles import Action


class PipelineViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    CompanyViewSet[M],
):
    """The operations on leads and on deals."""

    actions = {
        "list": Action.SEE_LEADS,
        "retrieve": Action.SEE_LEADS,
        "create": Action.EDIT_LEADS,
        "update": Action.EDIT_LEADS,
        "partial_update": Action.EDIT_LEADS,
        "destroy": Action.DELETE_LEADS,
    }

    @extend_schema(parameters=[IDEMPOTENCY_KEY])
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add one. With an Idempotency-Key, only once however often the request is repeated."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        pk, added = saved_once(request, self.caller.company, serializer.save)
        row = added or self.get_queryset().filter(pk=pk).first()
        if row is None:
            raise AddedRowGone
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)


class LeadViewSet(PipelineViewSet[Lead]):
    """The company's leads, newest first."""

    queryset = Lead.objects.not_erased()
    serializer_class = LeadSerializer
    filterset_class = LeadFilter


class DealViewSet(PipelineViewSet[Deal]):
    """The company's deals, newest first."""

    queryset = Deal.objects.all()
    serializer_class = DealSerializer


class ApiNotFoundView(APIView):
    """404 as JSON, for any caller and any method."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotFound("There is nothing at this URL. API URLs end with a slash; see /api/v1/ for a list.")


class IndexView(APIView):
    """`/api/v1/`: the URLs of the lists (`lists` maps titles to route names), the schema and the docs."""

    permission_classes = [AnyCaller]
    schema = None
    http_method_names = ["get", "head"]
    lists: dict[str, str] = {}

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        names = {**self.lists, "schema": "api-schema", "docs": "api-docs"}
        return Response({title: request.build_absolute_uri(reverse(name)) for title, name in names.items()})
