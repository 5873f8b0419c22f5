"""Forms of settings, of which two people may have the same one open."""

from collections.abc import Mapping
from copy import copy
from types import MappingProxyType
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError

CHANGED: Final = (
    "Nothing was saved: this was changed after you opened it. Your changes are below. Save again to overwrite "
    "the current version, or cancel to see it."
)
# Where the page that the form was on shows what is saved, and not what was entered.
CHANGED_HERE: Final = "Nothing was saved: {what} changed after you opened the page. You now see the current version."
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
INITIAL: Final = "initial-"  # Django's prefix for the names of hidden inputs with what a form was opened with


def with_opened(*names: str) -> tuple[str, ...]:
    """The names of these fields, and of the hidden inputs that tell what they were when the form was opened."""
    return (*names, *(INITIAL + name for name in names))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


class ChangesMixin(forms.BaseForm):
    """Keeps what was changed in the form, and refuses that if someone has changed the same meanwhile.

    The page repeats the values that it was opened with in hidden inputs. Without them, what is saved now is taken for
    these: it has to be the form's `initial`, also of a form that is posted. `typed` fills an unbound form in again,
    with both (`with_opened`).
    """

    # Fields that never show what is saved, and so are compared with nothing.
    write_only: ClassVar[frozenset[str]] = frozenset()
    # Fields that make sense only as they were seen together: who changes one of them changes all.
    together: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: Any, typed: Mapping[str, str] = NOTHING, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if typed and not self.is_bound:
            fields = {name: text for name, text in typed.items() if not name.startswith(INITIAL)}
            opened: Any = {INITIAL + name: typed.get(INITIAL + name, _text(self.initial.get(name))) for name in fields}
            self.initial.update(fields)
            self.data = opened
        self.repeat_opened()

    def repeat_opened(self) -> None:
        """Have the page repeat what the form was opened with."""
        for name, field in self.fields.items():
            is_opened = not self.is_bound or self.add_initial_prefix(name) in self.data
            field.show_hidden_initial = is_opened and not self.is_new and name not in self.write_only

    @property
    def is_new(self) -> bool:
        return False

    def saved_value(self, name: str) -> Any:
        """What is saved now, as the form would have cleaned it."""
        return self.initial.get(name)

    def clean(self) -> None:
        """Raise ValidationError if someone has changed the same meanwhile."""
        super().clean()
        if self.is_new:
            return
        compared = [name for name in self.cleaned_data if name not in self.write_only]
        chosen = {*self.changed_data}
        if chosen & self.together:
            chosen |= self.together
        # From the row, which no field has been written to yet: of another row, such as an owner, `initial` has the key.
        self.cleaned_data |= {name: self.saved_value(name) for name in compared if name not in chosen}
        stale = [name for name in compared if name in chosen and self._is_stale(name)]
        for name in stale:
            del self.cleaned_data[name]
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
            data[opened_with] = _text(value)
        self.data = data
        raise ValidationError(CHANGED)


class ChangesForm(ChangesMixin, forms.ModelForm):  # type: ignore[type-arg]
    """As the mixin, for a row."""

    @property
    def is_new(self) -> bool:
        return bool(self.instance._state.adding)

    def saved_value(self, name: str) -> Any:
        return getattr(self.instance, name)
