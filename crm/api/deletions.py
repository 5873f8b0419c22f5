"""`/api/v1/deletions/`: what programs that keep a copy have to delete."""

from datetime import date, datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework import mixins, serializers

from crm.api.viewsets import CompanyViewSet
from crm.lists.filter_types import DayField, SinceFilter
from crm.models.company import start_of
from crm.models.deletion import KEPT_FOR, DeletedKind, Deletion
from crm.models.roles import Action
from crm.models.scopes import Noun

TOO_EARLY: Final = (
    "Deletions are kept for {} days, so some may be missing. "
    "Enter a later time, or read all leads, deals and tasks again."
)


class DeletionSerializer(serializers.ModelSerializer[Deletion]):
    """A lead, deal or task that is gone. `merged_into` is the lead that a lead was merged into."""

    id = serializers.IntegerField(source="object_id")

    class Meta:
        model = Deletion
        fields = ("object", "id", "deleted_at", "merged_into")
        read_only_fields = fields


class MomentField(DayField):
    takes_moments = True


class KeptSinceFilter(SinceFilter):
    """Deletions since a moment from which on all of them are kept. Raises ValidationError for an earlier one."""

    field_class = MomentField

    def filter(self, rows: QuerySet[Any], since: date | None) -> QuerySet[Any]:
        if since is not None and self._is_too_early(since):
            raise serializers.ValidationError(
                {"deleted_from": [TOO_EARLY.format(KEPT_FOR.days)]}
            )
        return super().filter(rows, since)

    def _is_too_early(self, since: date) -> bool:
        kept_from = timezone.now() - KEPT_FOR
        if isinstance(since, datetime):
            return since < kept_from
        return since.year < kept_from.year - 1 or start_of(since) < kept_from


class DeletionFilter(filters.FilterSet):  # type: ignore[misc]
    """`?object=` and `?deleted_from=`. An invalid value is a 400."""

    object = filters.ChoiceFilter(
        choices=DeletedKind.choices,
        error_messages={
            "invalid_choice": f"Choose one of: {', '.join(DeletedKind.values)}."
        },
    )
    deleted_from = KeptSinceFilter("deleted_at", "Deleted from")

    class Meta:
        model = Deletion
        fields = ("object", "deleted_from")


class DeletionViewSet(mixins.ListModelMixin, CompanyViewSet[Deletion]):
    """The leads, deals and tasks that are gone, last first: deleted, erased, or merged into another one.

    A program that keeps a copy deletes them there. They are kept for 90 days. A merge that is undone is no longer among
    them.
    """

    queryset = Deletion.objects.all()
    serializer_class = DeletionSerializer
    filterset_class = DeletionFilter
    nouns = (Noun.LEADS, Noun.DEALS, Noun.TASKS)
    actions = {"list": Action.SEE_LEADS}

    def filter_queryset(self, queryset: Any) -> Any:
        with timezone.override(self.caller.company.time_zone):
            return super().filter_queryset(queryset)
