"""Filters and sorting of leads, which go in the URL. The search text does not (`services/searches.py`)."""

from dataclasses import dataclass
from typing import Any, Final

import django_filters
from django import forms
from django.db.models import QuerySet

from crm.accounts.decorators import MemberRequest
from crm.forms.leads import company_people
from crm.models import Lead, LeadStatus, User
from crm.models.bidi import without_bidi_controls
from crm.models.lead import LeadQuerySet, LeadType
from crm.models.search import WORDS_AT_MOST

MAX_SOURCES: Final = 50


def statuses(request: MemberRequest) -> QuerySet[LeadStatus]:
    return LeadStatus.objects.for_company(request.membership.company)


def colleagues(request: MemberRequest) -> QuerySet[User]:
    """The members of the company, past and present."""
    return company_people(request.membership.company)


class LeadFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The filters of the leads page. An invalid value filters nothing."""

    status = django_filters.ModelChoiceFilter(queryset=statuses, empty_label="Any status")
    owner = django_filters.ModelChoiceFilter(queryset=colleagues, empty_label="Any owner", null_label="No owner")
    source = django_filters.ChoiceFilter(empty_label="Any source")
    type = django_filters.ChoiceFilter(choices=LeadType.choices, empty_label="Any")
    shared = django_filters.ChoiceFilter(
        field_name="share_with_ad_platforms",
        label="Shared with ads",
        choices=[("True", "Yes"), ("False", "No")],
        empty_label="Either",
    )
    created_from = django_filters.DateFilter(
        field_name="created_at", lookup_expr="date__gte", label="Created from", widget=forms.DateInput({"type": "date"})
    )
    created_until = django_filters.DateFilter(
        field_name="created_at", lookup_expr="date__lte", label="Until", widget=forms.DateInput({"type": "date"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sources = self.queryset.order_by("source").values_list("source", flat=True).exclude(source="").distinct()
        self.filters["source"].extra["choices"] = [
            (source, without_bidi_controls(source)) for source in sources[:MAX_SOURCES]
        ]


class SearchableSelect(forms.RadioSelect):
    """A choice among many: a button with what is chosen, which unfolds the choices and a field to search in them."""

    template_name = "forms/searchable_select.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        options = [option for _, group, _ in context["widget"]["optgroups"] for option in group]
        context["widget"]["chosen"] = next((each["label"] for each in options if each["selected"]), "")
        return context


class SearchForm(forms.Form):
    search = forms.CharField(
        required=False, max_length=100, error_messages={"max_length": "Enter at most 100 characters to search for."}
    )

    def clean_search(self) -> str:
        text: str = self.cleaned_data["search"]
        if len(text.split()) > WORDS_AT_MOST:
            raise forms.ValidationError(f"Enter at most {WORDS_AT_MOST} words to search for.")
        return text


@dataclass(frozen=True)
class Column:
    """A sortable column of the leads table."""

    label: str
    key: str
    fields: tuple[str, ...]

    def toggled(self, sort: str) -> str:
        """The sort key after a click on this column's heading."""
        return f"-{self.key}" if sort == self.key else self.key

    def direction(self, sort: str) -> str:
        """The value of `aria-sort`, or ""."""
        return {self.key: "ascending", f"-{self.key}": "descending"}.get(sort, "")


COLUMNS: Final = (
    Column("Name", "name", ("last_name", "first_name")),
    Column("Status", "status", ("status__position", "status__pk")),
    Column("Organisation", "organisation", ("organisation",)),
    Column("Owner", "owner", ("owner__first_name", "owner__last_name")),
    Column("Source", "source", ("source",)),
    Column("Created", "created", ("created_at",)),
)


def sorted_by(leads: LeadQuerySet, sort: str) -> LeadQuerySet:
    """The leads sorted by a column's key, descending with a leading "-". Newest first for an unknown key."""
    for column in COLUMNS:
        if column.direction(sort):
            minus = "-" if sort.startswith("-") else ""
            return leads.order_by(*(minus + field for field in column.fields), "-pk")
    return leads.order_by("-pk")


def own_leads(request: MemberRequest) -> LeadQuerySet:
    """The company's leads, with the related rows that the list shows."""
    leads: LeadQuerySet = (
        Lead.objects.for_company(request.membership.company).not_erased().select_related("status", "owner")
    )
    return leads
