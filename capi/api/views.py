"""`/api/v1/conversion-rules/`, and `/api/v1/conversion-events/` to list, retry and cancel."""

from collections.abc import Callable
from typing import Any

from django.utils.functional import cached_property
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from capi import services
from capi.api.serializers import (
    ConversionEventDetailSerializer,
    ConversionEventSerializer,
    ConversionRuleSerializer,
    ProblemSerializer,
)
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import State
from capi.selectors.event_actions import allowed_actions
from capi.selectors.explanations.explain import NOT_AS_THINGS_STAND
from crm.api.viewsets import CompanyViewSet
from crm.lists.filter_types import IdFilter
from crm.models.roles import Action
from crm.models.scopes import Noun


class ConversionRuleViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    CompanyViewSet[ConversionRule],
):
    """The company's conversion rules, newest first. Events of a deleted rule stay in the event log."""

    queryset = ConversionRule.objects.all()
    serializer_class = ConversionRuleSerializer
    nouns = (Noun.CONVERSIONS,)
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


class ConversionEventFilter(filters.FilterSet):  # type: ignore[misc]
    """`?rule=`, `?lead=`, `?deal=`, `?state=`. An invalid value is a 400."""

    rule, lead, deal = IdFilter("rule"), IdFilter("lead"), IdFilter("deal")
    state = filters.ChoiceFilter(choices=State.choices)

    class Meta:
        model = ConversionEvent
        fields = ("rule", "lead", "deal", "state")


class ConversionEventViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, CompanyViewSet[ConversionEvent]
):
    """The log of the company's conversion events, newest first. A single event includes its requests to LinkedIn."""

    queryset = ConversionEvent.objects.select_related("rule", "crm_event")
    filterset_class = ConversionEventFilter
    nouns = (Noun.CONVERSIONS,)
    actions = {
        "list": Action.SEE_EVENT_LOG,
        "retrieve": Action.SEE_EVENT_LOG,
        "retry": Action.CHANGE_EVENTS,
        "cancel": Action.CHANGE_EVENTS,
    }

    @cached_property
    def connection(self) -> Connection | None:
        """The company's connection. The explanation of a queued event depends on it."""
        return Connection.objects.for_company(self.caller.company).first()

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        if self.action == "list":
            return ConversionEventSerializer
        return ConversionEventDetailSerializer

    @extend_schema(
        request=None,
        responses={200: ConversionEventDetailSerializer, 409: ProblemSerializer},
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str | None = None) -> Response:
        """Put the event back into the queue. 409 if it can't be sent again."""
        event = self.get_object()
        obstacle = allowed_actions(event).obstacle
        return self._result(
            event, services.retry_events, problem=obstacle.what if obstacle else ""
        )

    @extend_schema(
        request=None,
        responses={200: ConversionEventDetailSerializer, 409: ProblemSerializer},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str | None = None) -> Response:
        """Cancel the event. 409 if it is already final."""
        return self._result(self.get_object(), services.cancel_events)

    def _result(
        self,
        event: ConversionEvent,
        do: Callable[..., services.BulkResult],
        *,
        problem: str = "",
    ) -> Response:
        if not do(company=self.caller.company, pks=[event.pk], about=event).events:
            return Response(
                {"detail": problem or NOT_AS_THINGS_STAND},
                status=status.HTTP_409_CONFLICT,
            )
        return Response(self.get_serializer(self.get_object()).data)
