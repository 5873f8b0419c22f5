"""The deal form, and the filter of deals."""

import re
from typing import Any

import django_filters
from django import forms

from crm.accounts.forms import CURRENCY_CHOICES
from crm.forms.filters import colleagues, tags
from crm.forms.leads import company_people, limit_to_company
from crm.models import Deal, Lead, Stage, StageMeaning

GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")  # 25,000 or 1,999.50
DECIMAL_COMMA = re.compile(r"\d+(?:\.\d{3})*,\d{1,2}")  # 1999,50 or 1.999,50; but 25.000 may be either


class AmountField(forms.DecimalField):
    """An amount as people type it: with spaces, a currency symbol, commas between thousands, or a decimal comma."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(plain_number(value) if isinstance(value, str) else value)


def plain_number(text: str) -> str:
    """The number with a decimal point and nothing else, or `text` without spaces and symbols if it is ambiguous."""
    text = re.sub(r"[\s€£$]", "", text)
    if GROUPED.fullmatch(text):
        return text.replace(",", "")
    if DECIMAL_COMMA.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    return text


class DealForm(forms.ModelForm):  # type: ignore[type-arg]
    """A deal of the given lead. The lead is not a field, because it decides the company."""

    class Meta:
        model = Deal
        fields = ("title", "amount", "currency", "stage", "owner", "expected_close")
        field_classes = {"amount": AmountField}
        help_texts = {
            "title": "What the lead may buy, such as “Forty licences”.",
            "expected_close": "When you expect the lead's answer. The board marks the deal once this day has passed.",
        }
        widgets = {
            "amount": forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}),
            "currency": forms.Select(choices=CURRENCY_CHOICES),
            "expected_close": forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        }
        error_messages = {
            "amount": {
                "invalid": "Enter a number, such as 25000 or 1999.50.",
                "max_whole_digits": "Enter at most 12 digits before the decimal point.",
                "max_digits": "Enter at most 12 digits before the decimal point.",
            },
            "stage": {"invalid_choice": "Choose one of your company's stages."},
            "owner": {"invalid_choice": "Choose one of your colleagues."},
        }

    def __init__(self, *args: Any, lead: Lead, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        company = lead.company
        self.instance.lead, self.instance.company = lead, company
        limit_to_company(self, "stage", Stage.objects.for_company(company).offered(self.instance.stage_id))
        limit_to_company(self, "owner", company_people(company))
        self.fields["currency"].required = True
        if self.instance._state.adding:
            self.initial.setdefault("stage", Stage.objects.first_for(company, StageMeaning.OPEN))
        if not self.instance.currency:
            self.initial["currency"] = company.currency


class DealFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The filter of the board and of a stage's list. An invalid value filters nothing."""

    owner = django_filters.ModelChoiceFilter(queryset=colleagues, empty_label="Any owner", null_label="No owner")
    tag = django_filters.ModelChoiceFilter(field_name="tags", queryset=tags, empty_label="Any tag")
