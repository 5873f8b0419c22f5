"""Custom fields in the forms of leads and deals, and the form of a custom field itself."""

import json
from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.forms.utils import ErrorDict

from crm.forms.changes import ChangesForm
from crm.lists.custom_fields import PREFIX
from crm.models import Company, CustomField, FieldSubject, FieldType
from crm.models.custom_field import WITH_CHOICES, changed_choices
from crm.models.custom_lookups import with_keys_set
from crm.models.custom_values import Value, as_typed, form_field
from crm.selectors.custom_fields import fields_in_use

OPENED_CHOICES: Final = "initial-choices"
NEW_CHOICES: Final = 3  # empty rows for choices in a form


class WithCustomFields(forms.ModelForm):  # type: ignore[type-arg]
    """The form of a lead or deal, with a field for each custom field of its company."""

    custom_fields: list[CustomField]

    def add_custom_fields(self, company: Company, subject: FieldSubject) -> None:
        """Add the fields that are in use now, with one query.

        A field that the page did not show keeps its value, unless it is required and has none.
        """
        self.custom_fields = []
        for field in fields_in_use(company, subject):
            name, current = PREFIX + field.key, self.instance.custom.get(field.key)
            made = form_field(field, current=current)
            if self._was_shown(name, made) or (made.required and current is None):
                self.custom_fields.append(field)
                self.fields[name] = made
                self.initial.setdefault(name, as_typed(field, current))

    def _was_shown(self, name: str, made: forms.Field) -> bool:
        """False if someone has added or restored the field while the form was open."""
        return not (
            self.is_bound
            and made.widget.value_omitted_from_data(self.data, self.files, name)
        )

    @property
    def custom_values(self) -> dict[str, Value | None]:
        """The entered values by key; None for an empty one."""
        return {
            field.key: self.cleaned_data[PREFIX + field.key]
            for field in self.custom_fields
        }

    def save(self, commit: bool = True) -> Any:
        """Write only the values of these fields, so concurrent changes of other fields stay."""
        values, is_new = self.custom_values, self.instance._state.adding
        if is_new:
            self.instance.custom = {
                key: value for key, value in values.items() if value is not None
            }
        elif values:
            self.instance.custom = with_keys_set(values)
        saved = super().save(commit)
        if values and not is_new:
            # An expression: the values are read again on the next access.
            del saved.custom
        return saved

    @property
    def dropped(self) -> list[str]:
        """The names of fields that were filled in, but were archived or deleted while the form was open."""
        names = [
            name
            for name in self.data
            if name.startswith(PREFIX) and name not in self.fields and self.data[name]
        ]
        if not names:
            return []
        # No NUL.
        keys = [
            key
            for key in (name.removeprefix(PREFIX) for name in names)
            if key.isprintable()
        ]
        known = CustomField.objects.for_company(self.instance.company).filter(
            key__in=keys
        )
        return list(dict.fromkeys(map(str, known))) or ["A field"]


class CustomFieldForm(ChangesForm):
    """A custom field of the given company. Its subject (lead or deal) and its type can't be changed later.

    The choices are repeated inputs in their order: `choice_key`, empty for a new one, and `choice`, its label. A draft
    is shown again with a choice moved, removed or added, without validation.
    """

    class Meta:
        model = CustomField
        fields = ("subject", "name", "type", "help_text", "is_required", "is_listed")
        widgets = {"subject": forms.RadioSelect, "type": forms.RadioSelect}
        labels = {"is_listed": "Show in the list of leads"}
        help_texts = {
            "type": "The type can't be changed later.",
            "is_required": "Asked for from now on. Leads and deals that exist keep it empty until someone edits them.",
            "is_listed": "The first two of them are shown, unless someone chooses other columns.",
        }
        error_messages = {
            "subject": {"required": "Choose leads or deals."},
            "type": {"required": "Choose a type."},
        }

    def __init__(
        self, *args: Any, company: Company, is_draft: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.is_draft = is_draft
        self.instance.company = company
        for name, choices in (
            ("subject", FieldSubject.choices),
            ("type", FieldType.choices),
        ):
            if self.is_new:
                self.fields[name].choices = choices  # type: ignore[attr-defined]  # without an empty one
            else:
                del self.fields[name]

    @property
    def errors(self) -> Any:
        return ErrorDict() if self.is_draft else super().errors

    @property
    def has_choices(self) -> bool:
        """True if the field can have choices. On a new one, the stylesheet hides them until its type has some."""
        return self.is_new or self.instance.type in WITH_CHOICES

    @property
    def choice_rows(self) -> list[tuple[str, str]]:
        """The keys and labels of the choices, as entered or as saved, and a few empty rows."""
        entered = (
            [pair for pair in self._entered if any(pair)]
            if self.is_bound
            else self.instance.offered
        )
        return [*entered, *[("", "")] * NEW_CHOICES]

    @property
    def _entered(self) -> list[tuple[str, str]]:
        keys, labels = (self.data.getlist(name) for name in ("choice_key", "choice"))  # type: ignore[attr-defined]
        return list(zip(keys, labels, strict=False))

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())

    def clean(self) -> None:
        """Raise ValidationError for invalid choices, or if someone else has changed them meanwhile."""
        super().clean()
        if (
            self.cleaned_data.get("type", self.instance.type) in WITH_CHOICES
            and not self._are_choices_as_opened
        ):
            changed_choices(self.instance.choices, self._entered)
            if not self.is_new and self.opened_choices != self._saved_choices:
                self._refuse({OPENED_CHOICES: self._saved_choices})

    @property
    def labels(self) -> Sequence[tuple[str, str]] | None:
        """The choices as entered; None if they are unchanged."""
        if self.instance.type not in WITH_CHOICES or self._are_choices_as_opened:
            return None
        has_changed = self.instance.choices != changed_choices(
            self.instance.choices, self._entered
        )
        return self._entered if has_changed else None

    @property
    def opened_choices(self) -> str:
        """The choices that the form was opened with, for its hidden input."""
        return str(self.data.get(OPENED_CHOICES, self._saved_choices))

    @property
    def _saved_choices(self) -> str:
        return json.dumps(self.instance.offered)

    @property
    def _are_choices_as_opened(self) -> bool:
        entered = [pair for pair in self._entered if any(pair)]
        return (
            OPENED_CHOICES in self.data and json.dumps(entered) == self.opened_choices
        )
