"""The outcome of a deal: the form for a loss, and the base of every form that can move a deal."""

from typing import Any, cast

from django import forms

from crm.models import Deal, LostReason
from crm.models.deal import NOTE_LENGTH


class OutcomeForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of a deal in which a change of stage also changes the outcome, as any move does."""

    instance: Deal

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        cleaned = self.cleaned_data
        if cleaned.get("stage") and not self.instance._state.adding:
            given = {
                name: cleaned[name]
                for name in ("lost_reason", "outcome_note")
                if name in cleaned
            }
            outcome = self.instance.outcome_in(cleaned["stage"], **given)
            for name, value in outcome.items():
                # The form has no field for some of them.
                setattr(self.instance, name, value)
            cleaned |= outcome
        return cleaned


class LossForm(forms.Form):
    """Why a deal is lost: one of the company's reasons, which it may require, and an optional note.

    `dropped` has a sentence about each value that was entered and can't be saved.
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
        label="In your own words",
        required=False,
        max_length=NOTE_LENGTH,
        widget=forms.Textarea({"rows": 2}),
    )

    def __init__(
        self, *args: Any, deal: Deal, is_reason_required: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.initial["outcome_note"] = deal.outcome_note if deal.stage.is_open else ""
        self.deal, self.dropped = deal, list[str]()
        reasons = LostReason.objects.for_company(deal.company_id).offered(
            deal.lost_reason_id
        )
        reason = cast("forms.ModelChoiceField[LostReason]", self.fields["lost_reason"])
        reason.required = is_reason_required
        reason.empty_label = None if is_reason_required else "No reason"
        reason.queryset = reasons
        if not reasons.exists():
            self._drop(
                "lost_reason",
                "The reason that you chose is no longer in use. None was saved.",
            )
        if deal.lead.erased_at:  # the note might name the person
            self._drop(
                "outcome_note",
                "The person has been erased. What you wrote in your own words was not saved.",
            )

    def _drop(self, name: str, sentence: str) -> None:
        del self.fields[name]
        if self.data.get(name):
            self.dropped.append(sentence)
