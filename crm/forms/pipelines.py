"""The forms of a pipeline, and of losing a deal."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from crm.models import Company, Deal, LostReason, Pipeline
from crm.models.deal import NOTE_LENGTH
from crm.models.picklist import named_alike


class PipelineForm(forms.ModelForm):  # type: ignore[type-arg]
    """The name of a pipeline of the given company."""

    class Meta:
        model = Pipeline
        fields = ("name",)
        help_texts = {"name": "What it sells or to whom, such as “Renewals”."}

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.company = company

    def clean_name(self) -> str:
        """Raise ValidationError if another of the company's pipelines has this name, ignoring case."""
        name = " ".join(self.cleaned_data["name"].split())
        others = Pipeline.objects.for_company(self.instance.company).exclude(pk=self.instance.pk)
        if named_alike(others, name):
            raise ValidationError(f"There is a pipeline called “{name}” already.")
        return name


class LossForm(forms.Form):
    """Why a deal is lost: one of the company's reasons and, if wanted, a note.

    `dropped` has a sentence about each thing that was entered and can't be saved.
    """

    lost_reason = forms.ModelChoiceField(
        queryset=LostReason.objects.none(),
        label="Reason",
        empty_label=None,
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose a reason.",
            "invalid_choice": "Choose one of the reasons below. The one you chose is no longer in use.",
        },
    )
    outcome_note = forms.CharField(
        label="In your own words", required=False, max_length=NOTE_LENGTH, widget=forms.Textarea({"rows": 2})
    )

    def __init__(self, *args: Any, deal: Deal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["outcome_note"] = deal.outcome_note if deal.stage.is_open else ""
        self.deal, self.dropped = deal, list[str]()
        reasons = LostReason.objects.for_company(deal.company_id).offered(deal.lost_reason_id)
        self.fields["lost_reason"].queryset = reasons  # type: ignore[attr-defined]
        if not reasons.exists():
            self._drop("lost_reason", "The reason that you chose is no longer in use. None was saved.")
        if deal.lead.erased_at:  # the note might name the person
            self._drop("outcome_note", "The person has been erased. What you wrote in your own words was not saved.")

    def _drop(self, name: str, sentence: str) -> None:
        del self.fields[name]
        if self.data.get(name):
            self.dropped.append(sentence)
