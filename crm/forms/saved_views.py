"""The form of a saved view, and the choice of the columns of a list."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError

from crm.forms.changes import ChangesForm, ChangesMixin
from crm.lists.columns import Column
from crm.lists.definition import COLUMNS_AT_MOST
from crm.models import Membership, SavedView
from crm.models.saved_view import SOMEONE_ELSES


class SavedViewForm(ChangesForm):
    """A view's name, and whether it is shared."""

    class Meta:
        model = SavedView
        fields = ("name", "is_shared")
        help_texts = {
            "name": "Such as “Qualified this month”. The name of a person does not belong here."
        }

    def __init__(self, *args: Any, membership: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stays_shared = (
            self.instance.owner_id is not None
            and self.instance.stays_shared_for(membership)
        )

    def clean_is_shared(self) -> bool:
        """Raise ValidationError if the view is someone else's and the member would no longer see it."""
        is_shared: bool = self.cleaned_data["is_shared"]
        if self.stays_shared and not is_shared:
            raise ValidationError(SOMEONE_ELSES)
        return is_shared


HIDDEN: Final = ("", "Not shown")


class TableColumnsForm(ChangesMixin, forms.Form):
    """One choice for each place in the table, from left to right, so columns can be moved without scripts too.

    `shown` are the saved columns.
    """

    together: ClassVar[frozenset[str]] = frozenset(
        f"column_{place}" for place in range(1, COLUMNS_AT_MOST + 1)
    )

    def __init__(
        self,
        *args: Any,
        shown: Sequence[Column] = (),
        offered: Sequence[Column],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._fixed = [column.label for column in offered if column.is_fixed]
        choices = [
            (column.key, column.label) for column in offered if not column.is_fixed
        ]
        keys = [column.key for column in shown if not column.is_fixed]
        for place in range(1, COLUMNS_AT_MOST + 1):
            self.fields[f"column_{place}"] = forms.ChoiceField(
                label=f"Column {place}",
                choices=[HIDDEN, *choices],
                initial=keys[place - 1] if place <= len(keys) else "",
                required=False,
            )
        self.initial = {name: field.initial for name, field in self.fields.items()}
        self.repeat_opened()

    @property
    def fixed(self) -> str:
        """The labels of the columns that are always shown, such as “Name and status”."""
        return " and ".join(self._fixed).capitalize()

    @property
    def chosen(self) -> list[str]:
        """The keys of the columns, in order, each once."""
        return [key for key in dict.fromkeys(self.cleaned_data.values()) if key]
