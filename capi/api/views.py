"""`/api/v1/conversion-rules/`, and `/api/v1/conversion-events/` to read."""

from functools import cached_property
from typing import Any

from rest_framework import mixins
from rest_framework.serializers import BaseSerializer

from capi import services
from capi.api.filters import ConversionEventFilter
from capi.api.serializers import ConversionEventDetailSerializer, ConversionEventSerializer, ConversionRuleSerializer
from capi.models import Connection, ConversionEvent, ConversionRule
from crm.api.viewsets import CompanyViewSet
from crm.roles import Action


class ConversionRuleViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    CompanyViewSet[ConversionRule],
):
    """The company's conversion rules, newest first. What a deleted rule sent stays in the log of events."""

    queryset = ConversionRule.objects.all()
    serializer_class = ConversionRuleSerializer
    actions = {
        "list": Action.SEE_RULES,
        "retrieve": Action.SEE_RULES,
        "create": Action.CHANGE_RULES,
        "update": Action.CHANGE_RULES,
        "partial_update": Action.CHANGE_RULES,
        "destroy": Action.CHANGE_RULES,
    }

    def perform_destroy(self, instance: ConversionRule) -> None:
        services.delete_rule(rule=instance)


class ConversionEventViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, CompanyViewSet[ConversionEvent]):
    """The log of the company's conversion events, newest first; one of them comes with its requests to LinkedIn."""

    queryset = ConversionEvent.objects.select_related("rule", "crm_event")
    filterset_class = ConversionEventFilter
    actions = {"list": Action.SEE_EVENT_LOG, "retrieve": Action.SEE_EVENT_LOG}

    @cached_property
    def connection(self) -> Connection | None:
        """The company's line to LinkedIn, which the words about a queued event depend on."""
        return Connection.objects.for_company(self.caller.company).first()

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return ConversionEventDetailSerializer if self.action == "retrieve" else ConversionEventSerializer
