"""The body of a merge of two leads. `/api/v1/merges/`: the merges of the last day, and their undo."""

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.fields import LeadField, Text
from crm.api.schema import DETAIL
from crm.api.serializers import StrictBody
from crm.api.viewsets import CompanyViewSet, Conflict
from crm.lists.filter_types import IdFilter
from crm.models import CustomField, FieldSubject, LeadMerge
from crm.models.lead_merge import UNDO_FOR
from crm.models.merge_fields import CHOSEN, CUSTOM
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.services.lead_merges import MergeRefused
from crm.services.merge_undo import SeparatedLeads, undo_merge


class MergeSerializer(StrictBody):
    """`take` names the fields whose values are taken from the lead that goes, custom ones as `custom.key`."""

    # A script may repeat a request whose response was lost.
    lead = LeadField(with_merged=True)
    take = serializers.ListField(
        child=Text(max_length=80), required=False, max_length=100
    )

    def validate_take(self, names: list[str]) -> list[str]:
        """Raise ValidationError unless all of them are fields that can be chosen."""
        company = self.context["request"].auth.company
        keys = (
            CustomField.objects.of(company, FieldSubject.LEAD)
            .in_use()
            .values_list("key", flat=True)
        )
        fields = [*CHOSEN, *(f"{CUSTOM}{key}" for key in keys)]
        if set(names) - set(fields):
            raise serializers.ValidationError(f"Choose from: {', '.join(fields)}.")
        return names


class LeadMergeSerializer(serializers.ModelSerializer[LeadMerge]):
    """A merge of the lead `gone` into the lead `kept`. `merged_by` is a user, null if an API key merged them."""

    class Meta:
        model = LeadMerge
        fields = ("id", "kept", "gone", "merged_by", "merged_at", "undo_until")
        read_only_fields = fields


class SeparatedLeadsSerializer(serializers.Serializer[SeparatedLeads]):
    """The two leads again. `changed_since` lists what was changed after the merge, and stays as it is now.

    `opted_out_since`: the person opted out after the merge, so neither lead is shared with ad platforms.
    """

    kept = serializers.IntegerField(source="kept.pk")
    gone = serializers.IntegerField(source="gone.pk")
    changed_since = serializers.ListField(child=serializers.CharField())
    opted_out_since = serializers.BooleanField()


class MergeFilter(filters.FilterSet):  # type: ignore[misc]
    """`?kept=` and `?gone=`. An invalid value is a 400."""

    kept, gone = IdFilter("kept"), IdFilter("gone")

    class Meta:
        model = LeadMerge
        fields = ("kept", "gone")


class LeadMergeViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, CompanyViewSet[LeadMerge]
):
    """The merges that can still be undone, newest first: those of the last day."""

    queryset = LeadMerge.objects.all()
    serializer_class = LeadMergeSerializer
    filterset_class = MergeFilter
    nouns = (Noun.LEADS,)
    actions = dict.fromkeys(("list", "retrieve", "undo"), Action.EDIT_LEADS)

    def get_queryset(self) -> QuerySet[LeadMerge]:
        return super().get_queryset().filter(merged_at__gt=Now() - UNDO_FOR)

    @extend_schema(request=None, responses={200: SeparatedLeadsSerializer, 409: DETAIL})
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make the lead that is gone a lead of its own again, with what it had. From then on, the merge is a 404.

        409 if one of the two has since been merged into another lead, or erased.
        """
        merge: LeadMerge = self.get_object()
        try:
            separated = undo_merge(merge=merge)
        except MergeRefused as refused:
            raise Conflict(str(refused)) from refused
        return Response(SeparatedLeadsSerializer(separated).data)
