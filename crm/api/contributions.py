"""What notes and files have in common in the API: the lead or deal that they are on, and who added them."""

from collections.abc import Collection
from typing import Any, ClassVar, Final, TypeVar, cast

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crm.api.authentication import Caller
from crm.api.fields import DealField, LeadField
from crm.api.serializers import StrictSerializer
from crm.lists.filter_types import IdFilter
from crm.models.contribution import Contribution

C = TypeVar("C", bound=Contribution)

SUBJECT: Final = {"lead", "deal"}
NO_SUBJECT: Final = "Choose a lead or a deal."
TWO_SUBJECTS: Final = "Choose a lead or a deal, not both."


class ContributionSerializer(StrictSerializer[C]):
    """Something on a lead or a deal. On a deal, its `lead` is the deal's lead. `author` is a user."""

    lead = LeadField(required=False, allow_null=True)
    deal = DealField(required=False, allow_null=True)
    author = serializers.SerializerMethodField()

    subjects: ClassVar[Collection[str]] = SUBJECT
    no_subject, two_subjects = NO_SUBJECT, TWO_SUBJECTS

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_author(self, row: C) -> int | None:
        return row.actor_id

    def validate(self, attrs: Any) -> Any:
        chosen = [name for name in self.subjects if attrs.get(name) is not None]
        if self.instance is None and len(chosen) != 1:
            raise serializers.ValidationError(
                {"lead": [self.two_subjects if chosen else self.no_subject]}
            )
        return super().validate(attrs)

    @property
    def caller(self) -> Caller:
        return cast(Caller, self.context["request"].auth)


class ContributionFilter(filters.FilterSet):  # type: ignore[misc]
    """`?lead=`, with what is on its deals, and `?deal=`. An invalid value is a 400."""

    lead, deal = IdFilter("lead"), IdFilter("deal")
