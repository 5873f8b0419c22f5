"""Forms of settings, of which two people may have the same one open."""

from copy import copy
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

CHANGED: Final = (
    "Nothing was saved: this was changed after you opened it. Your changes are below. Save again to overwrite "
    "the current version, or cancel to see it."
)


class ChangesForm(forms.ModelForm):  # type: ignore[type-arg]
    """Writes what was changed in the form, and refuses that if someone has changed the same meanwhile.

    The page repeats the values that it was opened with in hidden inputs. Without them, what is saved now is taken for
    these.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            opened_with = self.add_initial_prefix(name)
            field.show_hidden_initial = not self.is_new and (not self.is_bound or opened_with in self.data)

    @property
    def is_new(self) -> bool:
        return bool(self.instance._state.adding)

    def clean(self) -> None:
        """Raise ValidationError if someone has changed the same meanwhile."""
        super().clean()
        if self.is_new:
            return
        changed = [name for name in self.cleaned_data if name in self.changed_data]
        # From the row, which no field has been written to yet: of another row, such as an owner, `initial` has the key.
        unchanged = [name for name in self.cleaned_data if name not in changed]
        self.cleaned_data |= {name: getattr(self.instance, name) for name in unchanged}
        stale = [name for name in changed if self._is_stale(name)]
        self._refuse({self.add_initial_prefix(name): self.initial.get(name) for name in stale})

    def _is_stale(self, name: str) -> bool:
        """True unless the value that is saved now is still the one that the form was opened with, or as entered."""
        field, current = self.fields[name], self.initial.get(name)
        was = self.data.get(self.add_initial_prefix(name), current)
        return field.has_changed(current, was) and field.has_changed(current, self[name].data)

    def _refuse(self, current: dict[str, Any]) -> None:
        """Raise ValidationError if there are any of these, after which the form counts as opened with them."""
        if not current:
            return
        data: Any = copy(self.data)  # what was posted can't be changed
        for opened_with, value in current.items():
            data[opened_with] = "" if value is None else str(value)
        self.data = data
        raise ValidationError(CHANGED)
