"""What each form that can move a deal does with its outcome."""

from typing import Any

from django import forms

from crm.models import Deal


class OutcomeForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of a deal in which a move to another stage changes the outcome as any move does."""

    instance: Deal

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        cleaned = self.cleaned_data
        if cleaned.get("stage") and not self.instance._state.adding:
            given = {name: cleaned[name] for name in ("lost_reason", "outcome_note") if name in cleaned}
            outcome = self.instance.outcome_in(cleaned["stage"], **given)
            for name, value in outcome.items():
                setattr(self.instance, name, value)  # the form has no field for some of them
            cleaned |= outcome
        return cleaned
