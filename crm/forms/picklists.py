"""The form of an entry of a list, and the suggestions that the forms of leads and deals offer."""

from collections.abc import Iterable
from typing import Any, Final, cast

from django import forms
from django.core.exceptions import ValidationError

from crm.forms.changes import ChangesForm
from crm.models.picklist import Colour, PicklistEntry, Tag, named_alike
from crm.models.steps import CERTAIN_CHANCES, PipelineStep, Stage

NOT_A_PERSON: Final = "Such as “VIP”. The name of a person does not belong here: it would stay when they are erased."


class PicklistForm(ChangesForm):
    """An entry of a company's list. The meaning of a status or stage is chosen when it is added, and stays."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "meaning" in self.fields:
            is_new = self.instance._state.adding
            self.fields["meaning"].disabled = not is_new
            self.fields["meaning"].choices = [  # type: ignore[attr-defined]
                ("", "Choose a meaning"),
                *self.fields["meaning"].choices[1:],  # type: ignore[attr-defined]
            ]
            self.fields["meaning"].help_text = (
                "How LeadMachine and LinkedIn treat it, whatever you call it. It can't be changed later."
                if is_new
                else "It can't be changed. Add another one for another meaning."
            )
        if isinstance(self.instance, Tag):
            self.fields["name"].help_text = NOT_A_PERSON
        if "colour" in self.fields:
            none = "Same as its meaning" if "meaning" in self.fields else "No colour"
            self.fields["colour"].choices = [("", none), *Colour.choices]  # type: ignore[attr-defined]
        if "chance" in self.fields:
            self.fields["chance"].disabled = (
                not is_new and self.instance.meaning in CERTAIN_CHANCES
            )
            self.fields[
                "chance"
            ].help_text = (
                "Sums of deals are weighted by it. Won is always 100, and lost 0."
            )

    def clean_name(self) -> str:
        """Raise ValidationError if another entry has the name, ignoring case."""
        name = " ".join(self.cleaned_data["name"].split())
        model = cast(type[PicklistEntry], type(self.instance))
        others = model.objects.beside(self.instance).exclude(pk=self.instance.pk)
        if other := named_alike(others, name):
            state = "is an archived one" if other.archived_at else "is already one"
            raise ValidationError(
                f"There {state} called “{other}”. Each name must be different."
            )
        return name


def entry_form(model: type[PicklistEntry]) -> type[PicklistForm]:
    """The form for entries of this list. It asks for a colour only if pages show one."""
    fields = ["name"]
    if model is Stage:
        fields += ["meaning", "chance", "colour"]
    elif issubclass(model, PipelineStep):
        fields += ["meaning", "colour"]
    elif model is Tag:
        fields.append("colour")
    form = forms.modelform_factory(model, form=PicklistForm, fields=fields)
    return cast(type[PicklistForm], form)


class Suggestions(forms.TextInput):
    """A text with suggestions. Any other text can be entered."""

    template_name = "forms/suggestions.html"
    suggestions: Iterable[str] = ()

    def get_context(
        self, name: str, value: Any, attrs: dict[str, Any] | None
    ) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        list_id = f"{context['widget']['attrs']['id']}_list"
        context["widget"]["attrs"]["list"] = list_id
        context["widget"] |= {"list_id": list_id, "suggestions": self.suggestions}
        return context
