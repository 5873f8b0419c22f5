"""The deal form, and the filter of deals."""

from typing import Any

import django_filters
from django import forms

from crm.accounts.forms import CURRENCY_CHOICES
from crm.forms.custom_fields import WithCustomFields
from crm.forms.filters import colleagues, tags
from crm.forms.leads import company_people, limit_to_company
from crm.models import Deal, FieldSubject, Lead, Stage, StageMeaning
from crm.models.amounts import AmountField


class DealForm(WithCustomFields):
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
        self.add_custom_fields(company, FieldSubject.DEAL)


class DealFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The filter of the board and of a stage's list. An invalid value filters nothing."""

    owner = django_filters.ModelChoiceFilter(queryset=colleagues, empty_label="Any owner", null_label="No owner")
    tag = django_filters.ModelChoiceFilter(field_name="tags", queryset=tags, empty_label="Any tag")
