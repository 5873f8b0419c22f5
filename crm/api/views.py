"""`/api/v1/leads/` and `/api/v1/deals/`. What the changes make happen is recorded by the models themselves."""

from rest_framework import mixins

from crm.api.serializers import DealSerializer, LeadSerializer
from crm.api.viewsets import CompanyViewSet, M
from crm.models import Deal, Lead
from crm.roles import Action


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


class LeadViewSet(PipelineViewSet[Lead]):
    """The company's leads, newest first."""

    queryset = Lead.objects.not_erased()
    serializer_class = LeadSerializer


class DealViewSet(PipelineViewSet[Deal]):
    """The company's deals, newest first."""

    queryset = Deal.objects.all()
    serializer_class = DealSerializer
