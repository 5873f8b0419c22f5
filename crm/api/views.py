"""`/api/v1/leads/` and `/api/v1/deals/`. What the changes make happen is recorded by the models themselves."""

from typing import Any, NoReturn

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm.api.filters import LeadFilter
from crm.api.idempotency import ONCE, GoneSince, saved_once
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
    """Everything one can do to leads, and to deals alike."""

    actions = {
        "list": Action.SEE_LEADS,
        "retrieve": Action.SEE_LEADS,
        "create": Action.EDIT_LEADS,
        "update": Action.EDIT_LEADS,
        "partial_update": Action.EDIT_LEADS,
        "destroy": Action.DELETE_LEADS,
    }

    @extend_schema(parameters=[ONCE])
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add one. With an Idempotency-Key, once however often the same is sent."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        made_id, made = saved_once(request, self.caller.company, serializer.save)
        added = made or self.get_queryset().filter(pk=made_id).first()
        if added is None:
            raise GoneSince
        return Response(self.get_serializer(added).data, status=status.HTTP_201_CREATED)


class LeadViewSet(PipelineViewSet[Lead]):
    """The company's leads, newest first."""

    queryset = Lead.objects.not_erased()
    serializer_class = LeadSerializer
    filterset_class = LeadFilter


class DealViewSet(PipelineViewSet[Deal]):
    """The company's deals, newest first."""

    queryset = Deal.objects.all()
    serializer_class = DealSerializer


# --- What the API says where it has nothing: a sentence in JSON, as everywhere else in it.


class ApiNotFoundView(APIView):
    """Raises NotFound (404), whoever asks, by whichever method."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotFound("There is nothing at this address. Those of the API end in a slash, and /api/v1/ lists them.")


# --- `/api/v1/`: what there is, and where.


class IndexView(APIView):
    """The addresses of the API's lists (`lists` holds the names of their routes), of its description and its schema."""

    permission_classes = [AnyCaller]
    schema = None
    http_method_names = ["get", "head"]
    lists: dict[str, str] = {}

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        names = {**self.lists, "schema": "api-schema", "docs": "api-docs"}
        return Response({title: request.build_absolute_uri(reverse(name)) for title, name in names.items()})
