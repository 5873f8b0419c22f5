"""The search field of lists, and a select with a search field."""

from typing import Any

from django import forms

from crm.search.conditions import WORDS_AT_MOST


class SearchableSelect(forms.RadioSelect):
    """A choice among many: a button with the current one, which opens a list of choices with a search field."""

    template_name = "forms/searchable_select.html"

    def get_context(
        self, name: str, value: Any, attrs: dict[str, Any] | None
    ) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        options = [
            option for _, group, _ in context["widget"]["optgroups"] for option in group
        ]
        context["widget"]["chosen"] = next(
            (each["label"] for each in options if each["selected"]), ""
        )
        return context


class SearchForm(forms.Form):
    search = forms.CharField(
        required=False,
        max_length=100,
        error_messages={"max_length": "Enter at most 100 characters to search for."},
    )

    def clean_search(self) -> str:
        text: str = self.cleaned_data["search"]
        if len(text.split()) > WORDS_AT_MOST:
            raise forms.ValidationError(
                f"Enter at most {WORDS_AT_MOST} words to search for."
            )
        return text
