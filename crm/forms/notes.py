"""The form of a note or a call."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms

from crm.models import Note

TEXT_ATTRIBUTES: Final = {
    "rows": 3,
    "placeholder": "What should the team know?",
    "data-ctrl-enter": True,
}


class NoteTextarea(forms.Textarea):
    """Turns each line break, which browsers send as two characters, into the one that they count."""

    def value_from_datadict(
        self, data: Mapping[str, Any], files: Any, name: str
    ) -> Any:
        value = super().value_from_datadict(data, files, name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


class NoteForm(forms.ModelForm):  # type: ignore[type-arg]
    """A note of the given company. The lead or deal is not a field: the page that adds the note sets it."""

    class Meta:
        model = Note
        fields = ("kind", "text")
        widgets = {"kind": forms.RadioSelect, "text": NoteTextarea(TEXT_ATTRIBUTES)}
        error_messages = {
            "kind": {"invalid_choice": "Choose a note or a call."},
            "text": {"required": "Write something first."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "note_%s", **kwargs})
