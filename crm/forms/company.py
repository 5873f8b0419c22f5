"""The forms of the company page."""

from typing import Any, Final, cast

from django import forms
from django.core.exceptions import ValidationError

from crm.accounts.forms import CURRENCY_CHOICES, TIME_ZONE_CHOICES
from crm.models import ApiKey, Company, LeadStatus, Stage
from crm.models.company import MAX_GRACE_SECONDS

LAST_POSITION: Final = 999
GRACE_CHOICES: Final = (
    (0, "None: LinkedIn is told at once"),
    (10, "10 seconds"),
    (30, "30 seconds"),
    (60, "1 minute"),
    (120, "2 minutes"),
    (300, "5 minutes"),
    (MAX_GRACE_SECONDS, "10 minutes"),
)


class CompanyForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Company
        fields = ("name", "currency", "time_zone")
        widgets = {
            "currency": forms.Select(choices=CURRENCY_CHOICES),
            "time_zone": forms.Select(choices=TIME_ZONE_CHOICES),
        }
        help_texts = {
            "currency": "The default for new deals.",
            "time_zone": "Dates and times on your pages use this time zone.",
        }


class GraceForm(forms.ModelForm):  # type: ignore[type-arg]
    """How long a change in the browser can be taken back before LinkedIn is told."""

    grace_seconds = forms.TypedChoiceField(label="Time to undo", coerce=int, choices=GRACE_CHOICES)

    class Meta:
        model = Company
        fields = ("grace_seconds",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        current = self.instance.grace_seconds
        if current not in dict(GRACE_CHOICES):  # set in the administration, in other steps than ours
            choices = sorted([*GRACE_CHOICES, (current, f"{current} seconds")])
            self.fields["grace_seconds"].choices = choices  # type: ignore[attr-defined]


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "key_%s", **kwargs})  # the company form on the same page also has a name

    class Meta:
        model = ApiKey
        fields = ("name", "role")
        help_texts = {"name": "What it is for, such as the name of a website or script."}


class StepForm(forms.ModelForm):  # type: ignore[type-arg]
    """A status or stage. Its meaning can't change while it is in use, because CRM events depend on it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["meaning"].disabled = self.is_used
        if self.instance._state.adding:
            del self.fields["position"]  # new ones go last
        else:
            self.fields["position"] = forms.IntegerField(
                min_value=1,
                max_value=LAST_POSITION,
                error_messages=dict.fromkeys(("min_value", "max_value", "invalid"), "Enter a number from 1 to 999."),
            )

    @property
    def is_used(self) -> bool:
        return bool(getattr(self.instance, "is_used", False))


class StepFormSet(forms.BaseModelFormSet):  # type: ignore[type-arg]
    """All statuses or stages of a company, with an empty row for a new one."""

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        self.company = company
        super().__init__(*args, **kwargs)

    def clean(self) -> None:
        """Raise ValidationError if two have the same name, one of which may be new since the form was opened."""
        names = [form.cleaned_data.get("name", "").casefold() for form in self.forms if form.is_valid()]
        shown = {form.instance.pk for form in self.forms}
        names += [step.name.casefold() for step in self.get_queryset() if step.pk not in shown]
        duplicate = next((name for name in names if name and names.count(name) > 1), None)
        if duplicate:
            raise ValidationError(f"Two of them are called “{duplicate}”. Each name must be different.")

    def save_new(self, form: Any, commit: bool = True) -> Any:
        form.instance.company = self.company
        last = max((step.position for step in self.get_queryset()), default=0)
        form.instance.position = min(last + 1, LAST_POSITION)  # of two with the same position, the newer one comes last
        return super().save_new(form, commit)


def step_form_set(step: type[LeadStatus] | type[Stage]) -> type[StepFormSet]:
    fields = ("position", "name", "meaning")
    form_set = forms.modelformset_factory(step, form=StepForm, formset=StepFormSet, fields=fields, extra=1)
    return cast(type[StepFormSet], form_set)
