"""Reads the cells of a row as values of a lead's fields, or reports the problem with them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from crm.data_exchange.importing.columns import NAMES
from crm.data_exchange.importing.custom_columns import NO, YES, CellProblem, CellReader, custom_columns, let_go_of_rows
from crm.models import Company, Lead, LeadStatus, LeadType, RowProblem, Tag
from crm.models.addresses import without_formats
from crm.models.validators import is_seen

TEXTS: Final = ("first_name", "last_name", "email", "phone", "organisation", "title", "source", "notes")
DIFFERENT: Final = ("first_name", "last_name", "full_name", "email", "phone", "notes")  # in each row: not cached
REPEATED: Final = 1_000  # cached cells of each other column
# Matches addresses that Django's validator accepts, in a tenth of its time. The validator decides about all others.
_PLAIN_ADDRESS: Final = re.compile(r"[\w+-]+(\.[\w+-]+)*@([a-z0-9]{1,63}\.)+[a-z]{2,63}", re.ASCII | re.IGNORECASE)
_BETWEEN_TAGS: Final = re.compile(r"[,;|]")
# Our own exports put an apostrophe before what a spreadsheet would take for a formula.
_DEFUSED: Final = re.compile(r"\A'(?=[=+\-@])")


@dataclass(slots=True)
class LeadValues:
    """A row's values by field name, without empty ones, or its problem and the index of the cell that has it."""

    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    column: int | None = None

    @property
    def key(self) -> str:
        """Equal for rows about the same person. "" for a bad row."""
        return "" if self.problem else person_key(self.values)


class RowReader:
    """Reads rows of one import: knows which field each column is, and the company's lists and custom fields."""

    def __init__(self, company: Company, columns: Sequence[str]) -> None:
        custom = custom_columns(company)
        self._required = [name for name, field in custom.items() if field.is_required]
        self._width = len(columns)
        statuses = {status.name.casefold(): status for status in LeadStatus.objects.for_company(company).offered()}
        offered_types = list(LeadType.objects.for_company(company).offered())
        types = {each.name.casefold(): each.code for each in offered_types} | {e.code: e.code for e in offered_types}
        tags = {tag.name.casefold(): tag.name for tag in Tag.objects.for_company(company).offered()}
        texts = {name: TextReader(name) for name in TEXTS}
        readers: dict[str, Callable[[str], dict[str, Any]]] = {
            **texts,
            "full_name": partial(_full_name, texts),
            "status": partial(_one_of, "status", statuses, RowProblem.STATUS_UNKNOWN),
            "type": partial(_one_of, "type", types, RowProblem.TYPE_UNKNOWN),
            "tags": partial(_tags, tags),
            "consent": partial(_consent, YES),
            "opted_out": partial(_consent, NO),
            **{name: CellReader(field) for name, field in custom.items()},
        }
        # A custom field may have been archived or deleted since the columns were chosen.
        self._columns = [
            (index, readers[name] if name in DIFFERENT else lru_cache(REPEATED)(readers[name]))
            for index, name in enumerate(columns)
            if name in readers
        ]
        self._name_column = next((index for index, name in enumerate(columns) if name in NAMES), None)

    def read(self, cells: Sequence[str]) -> LeadValues:
        """The values of the row's cells, or the first problem."""
        if not cells:
            return LeadValues(problem=RowProblem.ERASED)
        if len(cells) > self._width:
            return LeadValues(problem=RowProblem.TOO_MANY_CELLS, column=self._width - 1)
        values: dict[str, Any] = {}
        for index, read in self._columns:
            cell = cells[index] if index < len(cells) else ""
            if cell.startswith("'"):
                cell = _DEFUSED.sub("", cell)
            if cell:
                try:
                    values |= read(cell)
                except CellProblem as problem:
                    return LeadValues(values, str(problem), index)
        if not is_seen(values.get("first_name", "") + values.get("last_name", "")):
            return LeadValues(values, RowProblem.NAME_MISSING, self._name_column)
        return LeadValues(values)

    def lacks(self, values: Mapping[str, Any]) -> bool:
        """True if a new lead with these values would lack a required custom field."""
        return any(name not in values for name in self._required)


def person_key(values: Mapping[str, Any]) -> str:
    """A hash of what identifies a person: the address, or else the name with the phone number or the organisation."""
    if email := values.get("email", ""):
        return _hash(email.lower())
    name = f"{values.get('first_name', '')} {values.get('last_name', '')}".strip().lower()
    digits = re.sub(r"\D", "", values.get("phone", ""))
    return _hash("\n".join(("", name, digits or values.get("organisation", "").lower())))


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


class TextReader:
    """Reads the cells of one text field of a lead and validates them as the field does. Checks the length faster."""

    def __init__(self, name: str) -> None:
        field: Any = Lead._meta.get_field(name)
        self._name, self._longest, self._keeps_lines = name, field.max_length, name == "notes"
        self._validators = [each for each in field.validators if not isinstance(each, MaxLengthValidator)]

    def __call__(self, cell: str) -> dict[str, str]:
        """Returns {field name: value}. Raises CellProblem."""
        value = cell if self._keeps_lines else " ".join(cell.split())
        if self._name == "email":
            value = without_formats(value)
        if len(value) > self._longest:
            raise CellProblem(RowProblem.TOO_LONG)
        if self._name == "email" and _PLAIN_ADDRESS.fullmatch(value):
            return {self._name: value}
        try:
            for validate in self._validators:
                validate(value)
        except ValidationError as error:
            let_go_of_rows(error)
            raise CellProblem(RowProblem.EMAIL_INVALID if self._name == "email" else RowProblem.TOO_LONG) from None
        return {self._name: value}


def _full_name(texts: Mapping[str, TextReader], cell: str) -> dict[str, str]:
    """The first and last name in “Ada Lovelace” or “Lovelace, Ada”."""
    if "," in cell:
        last, _, first = cell.partition(",")
    else:
        first, _, last = cell.strip().partition(" ")
    names = {"first_name": first.strip(), "last_name": last.strip()}
    return {key: value for name, text in names.items() if text for key, value in texts[name](text).items()}


def _one_of(name: str, choices: Mapping[str, Any], problem: RowProblem, cell: str) -> dict[str, Any]:
    try:
        return {name: choices[cell.strip().casefold()]}
    except KeyError:
        raise CellProblem(problem) from None


def _tags(known: Mapping[str, str], cell: str) -> dict[str, list[str]]:
    """The names of the tags in “VIP, Trade fair”, each once."""
    names = [" ".join(name.split()).casefold() for name in _BETWEEN_TAGS.split(cell)]
    if any(name and name not in known for name in names):
        raise CellProblem(RowProblem.TAG_UNKNOWN)
    tags = list(dict.fromkeys(known[name] for name in names if name))
    return {"tags": tags} if tags else {}


def _consent(meaning_yes: frozenset[str], cell: str) -> dict[str, bool]:
    answer = cell.strip().casefold()
    if answer not in YES | NO:
        raise CellProblem(RowProblem.CONSENT_UNCLEAR)
    return {"share_with_ad_platforms": answer in meaning_yes}
