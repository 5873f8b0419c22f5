"""Forms that two people may have open for the same row."""

from collections.abc import Mapping
from copy import copy
from types import MappingProxyType
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError

from crm.accounts.typed_forms import is_secret

CHANGED: Final = (
    "Nothing was saved: this was changed after you opened it. Your changes are below. Save again to overwrite "
    "the current version, or cancel to see it."
)
# For pages that show the saved values afterwards, not the entered ones.
CHANGED_HERE: Final = "Nothing was saved: {what} changed after you opened the page. You now see the current version."
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
# Django's prefix for hidden inputs that have the values that the form was opened with.
INITIAL: Final = "initial-"


def with_opened(*names: str) -> tuple[str, ...]:
    """The names of these fields, and of the hidden inputs with the values that they were opened with."""
    return (*names, *(INITIAL + name for name in names))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


class ChangesMixin(forms.BaseForm):
    """Saves only the fields that were changed in the form, unless someone else has changed them meanwhile.

    The page has the values that it was opened with in hidden inputs. If they are missing, the saved values are used
    instead. So `initial` must be the saved values, even when the form is posted. `typed` fills in an unbound form
    again: with the values entered, and with those that it was opened with (`with_opened`).

    Fields for secrets never show the saved value, so there is nothing to compare them with.
    """

    # Fields that only make sense as a group: changing one of them counts as changing all.
    together: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, *args: Any, typed: Mapping[str, str] = NOTHING, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if typed and not self.is_bound:
            fields = {
                name: text
                for name, text in typed.items()
                if not name.startswith(INITIAL)
            }
            opened: Any = {
                INITIAL + name: typed.get(INITIAL + name, _text(self.initial.get(name)))
                for name in fields
            }
            self.initial.update(fields)
            self.data = opened
        self.repeat_opened()

    def repeat_opened(self) -> None:
        """Make the page include the values that the form was opened with."""
        for name, field in self.fields.items():
            is_opened = not self.is_bound or self.add_initial_prefix(name) in self.data
            field.show_hidden_initial = (
                is_opened and not self.is_new and not is_secret(field)
            )

    @property
    def is_new(self) -> bool:
        return False

    def saved_value(self, name: str) -> Any:
        """The saved value, as the form would clean it."""
        return self.initial.get(name)

    def clean(self) -> None:
        """Raise ValidationError if someone else has changed a field that is changed here."""
        super().clean()
        if self.is_new:
            return
        chosen = set(self.changed_data)
        if chosen & self.together:
            chosen |= self.together
        stale = {}
        for name in list(self.cleaned_data):
            if is_secret(self.fields[name]):
                continue
            if name not in chosen:
                # The value of the row, which is not written yet. (`initial` has only the key of an owner.)
                self.cleaned_data[name] = self.saved_value(name)
            elif self._is_stale(name):
                stale[self.add_initial_prefix(name)] = self.initial.get(name)
                del self.cleaned_data[name]
        self._refuse(stale)

    def _is_stale(self, name: str) -> bool:
        """True if the saved value is neither the one that the form was opened with nor the one entered."""
        field, current = self.fields[name], self.initial.get(name)
        opened_with = self.data.get(self.add_initial_prefix(name), current)
        entered = self[name].data
        return all(field.has_changed(current, each) for each in (opened_with, entered))

    def _refuse(self, current: dict[str, Any]) -> None:
        """Raise ValidationError if `current` has any values. The form then counts as opened with those."""
        if not current:
            return
        data: Any = copy(self.data)  # posted data is immutable
        for opened_with, value in current.items():
            data[opened_with] = _text(value)
        self.data = data
        raise ValidationError(CHANGED)


class ChangesForm(ChangesMixin, forms.ModelForm):  # type: ignore[type-arg]
    """The mixin for a model form."""

    @property
    def is_new(self) -> bool:
        return bool(self.instance._state.adding)

    def saved_value(self, name: str) -> Any:
        return getattr(self.instance, name)
