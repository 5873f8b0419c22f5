"""`/api/v1/duplicates/`: pairs of leads that may be one person."""

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.viewsets import CompanyViewSet
from crm.lists.filter_types import IdFilter
from crm.models import LeadDuplicate
from crm.models.lead_duplicate import LeadDuplicateQuerySet
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.services.lead_duplicates import dismiss


class LeadDuplicateSerializer(serializers.ModelSerializer[LeadDuplicate]):
    """Two leads that may be one person. `first` has the lower id, and `reason` is the strongest reason."""

    class Meta:
        model = LeadDuplicate
        fields = ("id", "first", "second", "reason", "found_at", "dismissed_at")
        read_only_fields = fields


class EitherFilter(IdFilter):
    """The id of a lead, which finds the pairs that it is in."""

    def filter(
        self, pairs: LeadDuplicateQuerySet, pk: int | None
    ) -> LeadDuplicateQuerySet:
        return pairs if pk is None else pairs.of([pk])


class DuplicateFilter(filters.FilterSet):  # type: ignore[misc]
    """`?lead=`. An invalid value is a 400."""

    lead = EitherFilter("lead")

    class Meta:
        model = LeadDuplicate
        fields = ("lead",)


class LeadDuplicateViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, CompanyViewSet[LeadDuplicate]
):
    """The pairs that no one has dismissed, last found first. A worker looks for them when leads change.

    To merge a pair: `/api/v1/leads/{id}/merge/`.
    """

    queryset = LeadDuplicate.objects.all()
    serializer_class = LeadDuplicateSerializer
    filterset_class = DuplicateFilter
    nouns = (Noun.LEADS,)
    actions = dict.fromkeys(("list", "retrieve", "dismiss"), Action.EDIT_LEADS)

    def get_queryset(self) -> LeadDuplicateQuerySet:
        own = LeadDuplicate.objects.for_company(self.caller.company)
        return own.open() if self.action == "list" else own

    @extend_schema(request=None, responses=LeadDuplicateSerializer)
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Dismiss the pair: the two are not one person, and are not found again. A repeat changes nothing."""
        pair: LeadDuplicate = self.get_object()
        dismiss(pair=pair)
        pair.refresh_from_db()
        return Response(self.get_serializer(pair).data)
