"""What the columns of an import probably are, by the CRM whose export the file may be."""

from typing import Final

from django.utils.functional import cached_property

from crm.data_exchange.importing.columns import (
    GUESSED_FROM,
    Guess,
    guess_columns,
    recognised,
)
from crm.data_exchange.importing.objects.definition import Preset
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.models import CustomField, LeadImport, LeadImportRow

NO_PRESET: Final = ""


class ColumnGuesses:
    """The guesses for an import's columns, from two queries."""

    def __init__(self, lead_import: LeadImport) -> None:
        self._lead_import = lead_import
        self._imported = object_of(lead_import)
        self.recognised: Preset | None = recognised(self._imported, lead_import.header)

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The CRMs whose exports the file may be, with their names; none if it can't be one."""
        presets = self._imported.presets.items()
        known = [(key, preset.label) for key, preset in presets]
        return [(NO_PRESET, "Another program"), *known] if known else []

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
            self._imported.presets.get(preset),
        )

    @cached_property
    def preset(self) -> str:
        """The key of the CRM by which most columns are as they are: the recognised one, unless another fits better."""
        first = self.recognised.key if self.recognised else NO_PRESET
        keys = dict.fromkeys([first, NO_PRESET, *self._imported.presets])
        return max(keys, key=self._agreeing)

    def _agreeing(self, preset: str) -> int:
        pairs = zip(self.by(preset), self._lead_import.columns, strict=True)
        return sum(guess.field == column for guess, column in pairs)
