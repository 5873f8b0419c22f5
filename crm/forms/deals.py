"""The deal form."""

from typing import Any

from django import forms

from crm.forms.custom_fields import WithCustomFields
from crm.forms.deal_outcomes import OutcomeForm
from crm.forms.leads import limit_to_company
from crm.lists.deals import StageChoiceField
from crm.models import Deal, FieldSubject, Lead, LostReason, Stage, StageMeaning
from crm.models.numbers import AmountField
from crm.models.people import company_people
from crm.models.validators import CURRENCY_CHOICES


class DealForm(WithCustomFields, OutcomeForm):
    """A deal of the given lead. The lead is not a field, because it decides the company."""

    class Meta:
        model = Deal
        fields = (
            "title",
            "amount",
            "currency",
            "stage",
            "owner",
            "expected_close",
            "lost_reason",
            "outcome_note",
        )
        field_classes = {"amount": AmountField, "stage": StageChoiceField}
        help_texts = {
            "title": "What the lead may buy, such as “Forty licences”.",
            "expected_close": "When you expect the lead's answer. The board marks the deal once this day has passed.",
            "lost_reason": "Only for a deal in a lost stage.",
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
                "max_decimal_places": "Enter at most 2 digits after the decimal point.",
            },
            "stage": {"invalid_choice": "Choose one of your company's stages."},
            "owner": {"invalid_choice": "Choose one of your colleagues."},
            "lost_reason": {
                "invalid_choice": "Choose one of your company's lost reasons that is still in use."
            },
        }

    def __init__(self, *args: Any, lead: Lead, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        company = lead.company
        self.instance.lead, self.instance.company = lead, company
        limit_to_company(
            self,
            "stage",
            Stage.objects.for_company(company)
            .offered(self.instance.stage_id)
            .in_order(),
        )
        limit_to_company(self, "owner", company_people(company))
        self.fields["currency"].required = True
        if self.instance._state.adding:
            self.initial.setdefault(
                "stage", Stage.objects.first_for(company, StageMeaning.OPEN)
            )
        if not self.instance.currency:
            self.initial["currency"] = company.currency
        self._ask_for_the_outcome()
        self.add_custom_fields(company, FieldSubject.DEAL)

    def _ask_for_the_outcome(self) -> None:
        """Ask why a deal is won or lost: for a lost reason only if any are listed, on a new deal only if required."""
        company, is_new = self.instance.company, self.instance._state.adding
        reasons = LostReason.objects.for_company(company).offered(
            self.instance.lost_reason_id
        )
        if is_new:
            del self.fields["outcome_note"]
        if (is_new and not company.requires_lost_reason) or not reasons.exists():
            del self.fields["lost_reason"]
            return
        limit_to_company(self, "lost_reason", reasons)
        self.fields["lost_reason"].empty_label = "No reason"  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any] | None:
        """Raise ValidationError if the deal is to be lost without a reason, and the company requires one."""
        needs_reason = "lost_reason" in self.fields and self._needs_reason(
            self.cleaned_data.get("stage")
        )
        if needs_reason and not self.cleaned_data.get("lost_reason"):
            self.add_error("lost_reason", "Choose a reason why the deal was lost.")
        return super().clean()

    def _needs_reason(self, stage: Stage | None) -> bool:
        """True if the deal will be lost and needs a reason. One that a script has lost without a reason may stay so."""
        deal = self.instance
        if (
            not deal.company.requires_lost_reason
            or stage is None
            or stage.meaning != StageMeaning.LOST
        ):
            return False
        return (
            deal._state.adding
            or deal.stage.meaning != StageMeaning.LOST
            or deal.lost_reason_id is not None
        )
