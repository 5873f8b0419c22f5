"""The deal form."""

from typing import Any

from django import forms

from crm.accounts.forms import CURRENCY_CHOICES
from crm.forms.custom_fields import WithCustomFields
from crm.forms.leads import company_people, limit_to_company
from crm.forms.stage_field import StageChoiceField
from crm.models import Deal, FieldSubject, Lead, LostReason, Stage, StageMeaning
from crm.models.amounts import AmountField


class DealForm(WithCustomFields):
    """A deal of the given lead. The lead is not a field, because it decides the company."""

    class Meta:
        model = Deal
        fields = ("title", "amount", "currency", "stage", "owner", "expected_close", "lost_reason", "outcome_note")
        field_classes = {"amount": AmountField, "stage": StageChoiceField}
        help_texts = {
            "title": "What the lead may buy, such as “Forty licences”.",
            "expected_close": "When you expect the lead's answer. The board marks the deal once this day has passed.",
            "lost_reason": "Only of a deal in a lost stage.",
            "outcome_note": "In your own words. It is shown once the deal is won or lost.",
        }
        widgets = {
            "outcome_note": forms.Textarea({"rows": 2}),
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
            "lost_reason": {"invalid_choice": "Choose one of your company's lost reasons that is still in use."},
        }

    def __init__(self, *args: Any, lead: Lead, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        company = lead.company
        self.instance.lead, self.instance.company = lead, company
        limit_to_company(self, "stage", Stage.objects.for_company(company).offered(self.instance.stage_id).in_order())
        limit_to_company(self, "owner", company_people(company))
        self.fields["currency"].required = True
        if self.instance._state.adding:
            self.initial.setdefault("stage", Stage.objects.first_for(company, StageMeaning.OPEN))
        if not self.instance.currency:
            self.initial["currency"] = company.currency
        self._ask_for_the_outcome()
        self.add_custom_fields(company, FieldSubject.DEAL)

    def _ask_for_the_outcome(self) -> None:
        """Ask why a deal is won or lost, but for a new one; for a reason only where the company lists any."""
        reasons = LostReason.objects.for_company(self.instance.company).offered(self.instance.lost_reason_id)
        if self.instance._state.adding:
            del self.fields["outcome_note"]
        if self.instance._state.adding or not reasons.exists():
            del self.fields["lost_reason"]
            return
        limit_to_company(self, "lost_reason", reasons)
        self.fields["lost_reason"].empty_label = "No reason"  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any] | None:
        """Raise ValidationError if the deal is being lost without a reason, and the company wants one."""
        cleaned = super().clean() or self.cleaned_data
        if (
            "lost_reason" in self.fields
            and not cleaned.get("lost_reason")
            and self._is_being_lost(cleaned.get("stage"))
        ):
            self.add_error("lost_reason", "Choose a reason why the deal was lost.")
        return cleaned

    def _is_being_lost(self, stage: Stage | None) -> bool:
        is_asked = self.instance.company.requires_lost_reason and self.instance.stage.meaning != StageMeaning.LOST
        return is_asked and stage is not None and stage.meaning == StageMeaning.LOST
