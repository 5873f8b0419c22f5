"""Filters of leads, which go in the URL. The search text does not (`services/searches.py`)."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final, Protocol

import django_filters
from django import forms
from django.db.models import QuerySet

from crm.forms.custom_fields import PREFIX
from crm.forms.custom_filters import custom_filters
from crm.forms.leads import company_people
from crm.models import Company, CustomField, FunnelStep, Lead, LeadSource, LeadStatus, LeadType, Tag, User
from crm.models.bidi import without_bidi_controls
from crm.models.company import start_of
from crm.models.funnel import has_reached
from crm.models.lead import LeadQuerySet
from crm.models.picklist import PicklistQuerySet
from crm.models.search import WORDS_AT_MOST
from crm.models.steps import StepQuerySet
from crm.selectors.leads import sources_of


class OfCompany(Protocol):
    """A member, or an API key."""

    @property
    def company(self) -> Company: ...


class FilterRequest(Protocol):
    """What filters need from a request: the company whose statuses, tags and colleagues can be chosen."""

    @property
    def membership(self) -> OfCompany: ...


def statuses(request: FilterRequest) -> StepQuerySet[LeadStatus]:
    return LeadStatus.objects.for_company(request.membership.company)


def tags(request: FilterRequest) -> PicklistQuerySet[Tag]:
    return Tag.objects.for_company(request.membership.company)


def source_choices(company: Company, asked: str) -> list[tuple[str, str]]:
    """The choices of a source: those of the company's list, and those of leads. Leads may have more than are offered,
    so `asked` is always among the choices if any lead has it.
    """
    listed = LeadSource.objects.for_company(company).values_list("name", flat=True)
    sources = {*listed, *sources_of(company)}
    if asked and "\0" not in asked and asked not in sources:
        sources |= {*Lead.objects.for_company(company).filter(source=asked).values_list("source", flat=True)[:1]}
    return [(source, without_bidi_controls(source)) for source in sorted(sources, key=str.casefold)]


def colleagues(request: FilterRequest) -> QuerySet[User]:
    """The members of the company, past and present."""
    return company_people(request.membership.company)


class TextChoiceFilter(django_filters.ChoiceFilter):  # type: ignore[misc]
    """A choice among the company's own texts. "null" is one like any other here: elsewhere it stands for NULL."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(null_value="\0", **kwargs)


class HasTextFilter(django_filters.ChoiceFilter):  # type: ignore[misc]
    """Rows whose field has a text, or is empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=YES_OR_NO, empty_label="Either", **kwargs)

    def filter(self, rows: QuerySet[Any], has_text: str) -> QuerySet[Any]:
        if not has_text:
            return rows
        none = {self.field_name: ""}
        return rows.exclude(**none) if has_text == "True" else rows.filter(**none)


class SinceFilter(django_filters.DateFilter):  # type: ignore[misc]
    """Rows since the start of a day, in the company's time zone. Unlike `__date`, this can use an index."""

    def filter(self, rows: QuerySet[Lead], day: date | None) -> QuerySet[Lead]:
        if day is None or day == date.min:  # its start in UTC may be out of range
            return rows
        return rows.filter(**{f"{self.field_name}__gte": start_of(day)})


class UntilFilter(django_filters.DateFilter):  # type: ignore[misc]
    """Rows until the end of a day."""

    def filter(self, rows: QuerySet[Lead], day: date | None) -> QuerySet[Lead]:
        if day is None or day == date.max:
            return rows
        return rows.filter(**{f"{self.field_name}__lt": start_of(day + timedelta(days=1))})


ISO: Final = ["%Y-%m-%d"]


def unfiltered(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Return all rows: the method of a filter whose value is used elsewhere."""
    return rows


def days(field_name: str, label: str) -> dict[str, Any]:
    widget = forms.DateInput({"type": "date"})
    return {"field_name": field_name, "label": label, "widget": widget, "input_formats": ISO}  # as browsers send it


YES_OR_NO: Final = [("True", "Yes"), ("False", "No")]
GONE: Final = "a custom field that is not in use"
EXPIRED: Final = "a search that has expired or is not yours"


class LeadFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The search and the filters of the leads page, including filters by the company's custom fields.

    `recall` returns the search text for its key in a URL, or "" if there is none. `broken` has the filters that no
    longer work, by their names in the URL: the value is invalid, or its row is gone. They match no lead: ignoring them
    would show more leads than were asked for.
    """

    status = django_filters.ModelChoiceFilter(queryset=statuses, empty_label="Any status")
    owner = django_filters.ModelChoiceFilter(queryset=colleagues, empty_label="Any owner", null_label="No owner")
    source = TextChoiceFilter(empty_label="Any source")
    tag = django_filters.ModelChoiceFilter(field_name="tags", queryset=tags, empty_label="Any tag")
    type = TextChoiceFilter(empty_label="Any")
    reached = django_filters.ChoiceFilter(
        label="Reached", choices=FunnelStep.choices, empty_label="Any", method="filter_by_step"
    )
    has_source = HasTextFilter(field_name="source", label="Has a source")
    has_email = django_filters.ChoiceFilter(
        field_name="email", label="Has e-mail", choices=YES_OR_NO, empty_label="Either", method="filter_by_email"
    )
    shared = django_filters.ChoiceFilter(
        field_name="share_with_ad_platforms", label="Shared with ads", choices=YES_OR_NO, empty_label="Either"
    )
    created_from = SinceFilter(**days("created_at", "Created from"))
    created_until = UntilFilter(**days("created_at", "Until"))
    updated_from = SinceFilter(**days("updated_at", "Last activity from"))
    updated_until = UntilFilter(**days("updated_at", "Until"))

    def __init__(
        self,
        data: Any,
        *,
        custom_fields: Sequence[CustomField],
        request: FilterRequest,
        recall: Callable[[str], str],
        **kwargs: Any,
    ) -> None:
        self.custom = custom_filters(custom_fields)
        data = data.copy()
        texts = [name for name, each in self.custom.items() if each.is_text]
        asked = [name for name in ("search", *texts) if data.get(name)]
        for name in asked:
            data[name] = recall(data[name])
        self.search: str = data.get("search", "")
        self.broken = {name: EXPIRED for name in asked if not data[name]}
        gone = [name for name in data if name.startswith(PREFIX) and name not in self.custom and data[name]]
        self.broken |= dict.fromkeys(gone, GONE)
        super().__init__(data, request=request, **kwargs)
        self.filters |= self.custom
        company = request.membership.company
        self.filters["source"].extra["choices"] = source_choices(company, data.get("source", ""))
        types = LeadType.objects.for_company(company)
        self.filters["type"].extra["choices"] = [(each.code, str(each)) for each in types]

        self.broken |= {name: str(self.form[name].label) for name in self.form.errors}

    def filter_queryset(self, leads: LeadQuerySet) -> LeadQuerySet:
        found: LeadQuerySet = super().filter_queryset(leads)
        return leads.none() if self.broken else found.search(self.search)

    def filter_by_step(self, leads: LeadQuerySet, name: str, step: str) -> LeadQuerySet:
        return leads.filter(has_reached(FunnelStep(step)))

    def filter_by_email(self, leads: LeadQuerySet, name: str, has_email: str) -> LeadQuerySet:
        return leads.exclude(email="") if has_email == "True" else leads.with_address("")


def filters_in_words(names: Iterable[str]) -> list[str]:
    """The filters with these names in the URL, in words."""
    return [name.removeprefix(PREFIX).replace("_", " ").strip() for name in names]


class SearchableSelect(forms.RadioSelect):
    """A choice among many: a button with the current one, which opens a list of choices with a search field."""

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
