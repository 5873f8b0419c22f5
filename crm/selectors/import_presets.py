"""What the columns of an import probably are, by the CRM whose export the file may be."""

from typing import Final

from django.utils.functional import cached_property

from crm.data_exchange.importing.columns import GUESSED_FROM, Guess, guess_columns
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.presets import PRESETS, Preset, recognised
from crm.models import CustomField, LeadImport, LeadImportRow

NO_PRESET: Final = ""
CHOICES: Final = [
    (NO_PRESET, "Another program"),
    *((key, preset.label) for key, preset in PRESETS.items()),
]


class ColumnGuesses:
    """The guesses for an import's columns, from two queries."""

    def __init__(self, lead_import: LeadImport) -> None:
        self._lead_import = lead_import
        self._imported = object_of(lead_import)
        self.recognised: Preset | None = recognised(lead_import.header)

    @cached_property
    def rows(self) -> list[list[str]]:
        """The first rows of the file."""
        own = LeadImportRow.objects.of(self._lead_import).only("cells")
        return [row.cells for row in own[:GUESSED_FROM]]

    @cached_property
    def _custom(self) -> dict[str, CustomField]:
        return typed_columns(self._lead_import)

    def by(self, preset: str) -> list[Guess]:
        """The guess for each column of an export of the CRM with this key."""
        return guess_columns(
            self._imported,
            self._lead_import.header,
            self.rows,
            self._custom,
            PRESETS.get(preset),
        )

    @cached_property
    def preset(self) -> str:
        """The key of the CRM by which most columns are as they are: the recognised one, unless another fits better."""
        first = self.recognised.key if self.recognised else NO_PRESET
        keys = dict.fromkeys([first, NO_PRESET, *PRESETS])
        return max(keys, key=self._agreeing)

    def _agreeing(self, preset: str) -> int:
        pairs = zip(self.by(preset), self._lead_import.columns, strict=True)
        return sum(guess.field == column for guess, column in pairs)
