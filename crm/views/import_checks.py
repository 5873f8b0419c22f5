"""The page of an import before it is started: what its columns are, how their cells are read, and what will happen."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from crm.accounts.decorators import MemberRequest
from crm.data_exchange.importing.objects.registry import object_of
from crm.data_exchange.importing.text_formats import TextFormat
from crm.forms.import_values import ImportValuesForm
from crm.forms.lead_imports import ImportColumnsForm, StartForm, SubjectForm
from crm.models import LeadImport
from crm.models.roles import Action
from crm.selectors import lead_imports as selector
from crm.selectors.import_cells import ShownCells, cell_totals
from crm.selectors.import_readings import columns_of_numbers
from crm.selectors.import_values import additions, columns_of_values


class CheckPage:
    """The page and its forms. With `data`, as they were posted."""

    def __init__(
        self, request: MemberRequest, lead_import: LeadImport, data: Any = None
    ) -> None:
        self._request, self._lead_import = request, lead_import
        self._imported = object_of(lead_import)
        self._shown = ShownCells(lead_import)
        may_add = request.membership.may(Action.MANAGE_COMPANY)
        self._values = columns_of_values(lead_import, self._shown.value_maps)
        self.columns = ImportColumnsForm(data, lead_import=lead_import, may_add=may_add)
        self.values = ImportValuesForm(data, columns=self._values, may_add=may_add)

    def is_valid(self) -> bool:
        are_valid = [self.columns.is_valid(), self.values.is_valid()]
        return all(are_valid)

    def response(self, start: StartForm | None = None) -> HttpResponse:
        lead_import = self._lead_import
        outcome = self._request.GET.get("outcome", "")
        conversions = selector.conversions(lead_import)
        usual = StartForm(lead_import=lead_import, conversions=conversions)
        context: dict[str, Any] = {
            "lead_import": lead_import,
            "imported": self._imported,
            "file_format": TextFormat.of(lead_import.file_format),
            "has_file": selector.has_file(lead_import),
            **self._of_columns(),
            **self._of_readings(),
            "totals": selector.totals(lead_import.planned, noun=self._imported.noun),
            "rows": selector.preview(lead_import, outcome, self._shown),
            "outcome": outcome,
            "conversions": conversions,
            "additions": additions(lead_import),
            "form": start or usual,
        }
        return render(self._request, "crm/lead_imports/check.html", context)

    def _of_columns(self) -> dict[str, Any]:
        """What each column is."""
        views = selector.columns(self._lead_import, self.columns.guesses)
        return {
            "columns_form": self.columns,
            "preset": self.columns.guesses.recognised,
            "subject_form": SubjectForm(initial={"subject": self._imported.subject}),
            "columns": self.columns.rows(views),
            "guessed": sum(column.mark == "Guessed" for column in views),
            "unsure": any(column.mark == "Unsure" for column in views),
        }

    def _of_readings(self) -> dict[str, Any]:
        """How the cells of the columns are read, and what can't be read."""
        form = self.columns
        numbers = [
            (each, form.convention(each.index))
            for each in columns_of_numbers(self._lead_import, self._shown.custom)
        ]
        cells = cell_totals(self._lead_import, self._lead_import.planned)
        return {
            "questions": [pair for pair in numbers if pair[0].needs_answer],
            "numbers": [pair for pair in numbers if not pair[0].needs_answer],
            "values": [
                (each, self.values.rows(each), form.otherwise(each.index))
                for each in self._values
            ],
            "cells": cells,
            "otherwise": form.otherwise_of(
                cells, but=[each.index for each in self._values]
            ),
        }
