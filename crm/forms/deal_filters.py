"""The filters of deals: for the board, the list and the forecast."""

from collections.abc import Sequence
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet

from crm.accounts.decorators import MemberRequest
from crm.accounts.forms import CURRENCY_CHOICES
from crm.forms.filters import (
    HasTextFilter,
    SinceFilter,
    TextChoiceFilter,
    UntilFilter,
    colleagues,
    days,
    source_choices,
    tags,
    unfiltered,
)
from crm.forms.pipelines import StageChoiceField
from crm.models import LostReason, Pipeline, Stage, StageMeaning
from crm.models.deal import DealQuerySet


def stages(request: MemberRequest) -> QuerySet[Stage]:
    own: QuerySet[Stage] = Stage.objects.for_company(request.membership.company).in_order()
    return own


def pipelines(request: MemberRequest) -> QuerySet[Pipeline]:
    return Pipeline.objects.for_company(request.membership.company)


def reasons(request: MemberRequest) -> QuerySet[LostReason]:
    return LostReason.objects.for_company(request.membership.company)


class BoardFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The filter of the board and of the forecast. An invalid value filters nothing.

    `pipelines` are the choices. The pages themselves show one pipeline at a time, so this filter keeps all deals.
    """

    pipeline = django_filters.ChoiceFilter(label="Pipeline", method=unfiltered, empty_label=None)
    owner = django_filters.ModelChoiceFilter(queryset=colleagues, empty_label="Any owner", null_label="No owner")
    tag = django_filters.ModelChoiceFilter(field_name="tags", queryset=tags, empty_label="Any tag")

    def __init__(self, *args: Any, pipelines: Sequence[Pipeline], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters["pipeline"].extra["choices"] = [(pipeline.pk, str(pipeline)) for pipeline in pipelines]
        if len(pipelines) < 2:
            del self.filters["pipeline"]


class StageFilter(django_filters.ModelChoiceFilter):  # type: ignore[misc]
    field_class = StageChoiceField


class DealFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The filters of the list of all deals. An invalid value filters nothing."""

    pipeline = django_filters.ModelChoiceFilter(
        label="Pipeline", method="_in_pipeline", queryset=pipelines, empty_label="Any pipeline"
    )
    stage = StageFilter(queryset=stages, empty_label="Any stage")
    owner = django_filters.ModelChoiceFilter(queryset=colleagues, empty_label="Any owner", null_label="No owner")
    tag = django_filters.ModelChoiceFilter(field_name="tags", queryset=tags, empty_label="Any tag")
    meaning = django_filters.ChoiceFilter(
        field_name="stage__meaning", label="Outcome", choices=StageMeaning.choices, empty_label="Any outcome"
    )
    lost_reason = django_filters.ModelChoiceFilter(
        queryset=reasons, method="_lost_for", empty_label="Any reason", null_label="No reason"
    )
    close_from = django_filters.DateFilter(
        field_name="expected_close", lookup_expr="gte", label="Close from", widget=forms.DateInput({"type": "date"})
    )
    close_until = django_filters.DateFilter(
        field_name="expected_close", lookup_expr="lte", label="Until", widget=forms.DateInput({"type": "date"})
    )
    dated = django_filters.ChoiceFilter(
        method="_with_close_date", label="Close date", choices=[("yes", "Set"), ("no", "None")], empty_label="Either"
    )
    currency = django_filters.ChoiceFilter(choices=CURRENCY_CHOICES, empty_label="Any currency")
    # Of the deal's lead, named as in the list of leads.
    lead_source = TextChoiceFilter(field_name="lead__source", label="Source of the lead", empty_label="Any source")
    lead_has_source = HasTextFilter(field_name="lead__source", label="Lead has a source")
    lead_owner = django_filters.ModelChoiceFilter(
        field_name="lead__owner",
        label="Owner of the lead",
        queryset=colleagues,
        empty_label="Any owner",
        null_label="No owner",
    )
    lead_created_from = SinceFilter(**days("lead__created_at", "Lead created from"))
    lead_created_until = UntilFilter(**days("lead__created_at", "Until"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if len(pipelines(self.request)) < 2:
            del self.filters["pipeline"]
        if not reasons(self.request).exists():
            del self.filters["lost_reason"]
        asked = (self.data or {}).get("lead_source", "")
        self.filters["lead_source"].extra["choices"] = source_choices(self.request.membership.company, asked)

    def filter_queryset(self, deals: DealQuerySet) -> DealQuerySet:
        found: DealQuerySet = super().filter_queryset(deals)
        asked = self.form.cleaned_data
        # An erased lead is in no list, and its data is gone.
        is_about_leads = any(asked.get(name) for name in self.filters if name.startswith("lead_"))
        return found.filter(lead__erased_at=None) if is_about_leads else found

    def _in_pipeline(self, deals: DealQuerySet, name: str, pipeline: Pipeline) -> DealQuerySet:
        return deals.in_pipeline(pipeline)

    def _lost_for(self, deals: DealQuerySet, name: str, reason: LostReason | str) -> DealQuerySet:
        lost = deals.filter(stage__meaning=StageMeaning.LOST)
        return lost.filter(lost_reason=reason if isinstance(reason, LostReason) else None)

    def _with_close_date(self, deals: DealQuerySet, name: str, value: str) -> DealQuerySet:
        return deals.filter(expected_close__isnull=value == "no")
