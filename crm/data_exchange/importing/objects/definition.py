"""What an import has to know about the object that its file holds. Everything else is the same for all of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from django.utils.functional import cached_property

from crm.data_exchange.importing.cells import Reader
from crm.data_exchange.importing.rows import JudgedRow
from crm.data_exchange.importing.value_lists import ValueList
from crm.models import (
    Company,
    CrmEventKind,
    CustomField,
    FieldType,
    ImportSubject,
    LeadImport,
    LeadImportRow,
    RowProblem,
)

Values = Mapping[str, Any]  # of a row, by field name
LEFT_OUT: Final = ""  # the field of a column that is none
# Suffixes of a CRM event in the counts: its lead has no e-mail address yet; it is too old for ad platforms.
LATER: Final = ":later"
TOO_OLD: Final = ":too_old"


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a column can be, and its usual names in English, Dutch, German, French and Spanish lists.

    A column with one of the `unsure` names may be something else: a person has to check it.
    """

    label: str
    names: str = ""
    unsure: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """The export of another CRM.

    `fields` has the field that each column is, "" if it is none. `marks` are the names, exactly as they are
    spelled, that its files are recognised by.
    """

    key: str
    label: str
    fields: Mapping[str, str]
    marks: Sequence[str]


class Lack(NamedTuple):
    """What keeps a row from being imported: the problem, and the fields that could have prevented it."""

    problem: RowProblem
    fields: Sequence[str]


class ImportedObject(ABC):
    """An object that can be imported: its fields, what makes two rows the same, and how rows become records."""

    subject: ClassVar[ImportSubject]
    model: ClassVar[type[Any]]
    # For people: of one, of several, and how known ones are found.
    noun: ClassVar[str]
    plural: ClassVar[str]
    matched_by: ClassVar[str]
    # For people: what someone may have added to one, which keeps an undo from removing it.
    work: ClassVar[str] = ""
    # The name of the URL of their list, and what that lists if it is something else.
    list_url: ClassVar[str]
    listed: ClassVar[str] = ""
    # The column of `LeadImportRow` with the key of a row's record.
    record_column: ClassVar[str]
    fields: ClassVar[Mapping[str, Field]]
    # Each excludes the last one: a file has either the parts of a name or the whole.
    names: ClassVar[Sequence[str]]
    # The fields of columns that have no known name, but e-mail addresses or phone numbers.
    address_field: ClassVar[str] = ""
    phone_field: ClassVar[str] = ""
    # The fields of which a file has to have one if it is to be taken for one of these.
    proof: ClassVar[Collection[str]] = ()
    # The exports of other CRMs that can be imported, by key.
    presets: ClassVar[Mapping[str, Preset]] = {}
    # Fields with another value in each row: their cells are not cached.
    distinct: ClassVar[Collection[str]]
    # "" if they have no custom fields.
    custom_subject: ClassVar[str] = ""
    # The lists that built-in fields have their values from, by field.
    lists: ClassVar[Mapping[str, Callable[[Company], ValueList]]] = {}
    # The built-in fields that are numbers or dates.
    typed: ClassVar[Mapping[str, FieldType]] = {}
    # Those of the dates whose time of the day counts.
    timed: ClassVar[Collection[str]] = ()
    # The CRM events that new records may cause.
    kinds: ClassVar[Sequence[CrmEventKind]] = ()
    # False if no one can choose who owns the new ones.
    has_owner: ClassVar[bool] = True

    # Reading

    @cached_property
    def typed_fields(self) -> Mapping[str, CustomField]:
        """The built-in fields that are numbers or dates, as if they were custom fields."""
        return {
            name: CustomField(key=name, name=self.fields[name].label, type=kind)
            for name, kind in self.typed.items()
        }

    @abstractmethod
    def problem_of_columns(self, chosen: Collection[str]) -> str:
        """What is wrong with a file that has these fields, for people; "" if nothing is."""

    @abstractmethod
    def readers(self) -> dict[str, Reader]:
        """How the cells of each built-in field are read whose values are from no list, by field."""

    @abstractmethod
    def checked(self, values: dict[str, Any]) -> tuple[dict[str, Any], Lack | None]:
        """The values that count, and what keeps the row from being imported, whatever the company has already."""

    @abstractmethod
    def lacks(self, values: Values) -> Lack | None:
        """Why there can be no new record with these values, besides required custom fields."""

    def problem_of(self, name: str, value: Any) -> str:
        """What is wrong with a number or date in this field, as a `RowProblem`; "" if nothing is."""
        return ""

    # Judging

    @abstractmethod
    def resolve(
        self, lead_import: LeadImport, rows: Sequence[JudgedRow], *, locks: bool
    ) -> None:
        """Find what the rows refer to, and set the keys that depend on it. A row whose lead is not found is bad."""

    @abstractmethod
    def key(self, values: Values, unread_address: str) -> str:
        """Equal for rows about the same record."""

    @abstractmethod
    def existing(
        self, lead_import: LeadImport, wanted: Mapping[str, Values], *, locks: bool
    ) -> dict[str, Any]:
        """The record of each of these keys, without those that the import has written.

        With `locks`, they can't change until the transaction ends.
        """

    @abstractmethod
    def news(self, record: Any, values: Values) -> dict[str, Any]:
        """What these values add to the record."""

    def as_stored(self, value: Any) -> Any:
        """A value of `news` as a row's `filled` has it."""
        return value

    def prepare_new(self, row: JudgedRow) -> None:
        """Adjust the values of a row that becomes a new record."""
        return

    def events(self, row: JudgedRow) -> Iterable[str]:
        """The CRM events that a new row may cause, as they are counted."""
        return ()

    # Writing

    @abstractmethod
    def add(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        """Add the records of these rows, with the keys that are reserved for them."""

    @abstractmethod
    def fill(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        """Write the news of these rows, and set `filled` as an undo needs it."""

    # Undoing

    @abstractmethod
    def locked(self, pks: Sequence[int]) -> dict[int, Any]:
        """The records by key, locked, each with `is_touched`: True if anyone has worked on it."""

    @abstractmethod
    def is_untouched(self, row: LeadImportRow, record: Any) -> bool:
        """True if no one has changed the record since the row added it."""

    @abstractmethod
    def remove(self, lead_import: LeadImport, pks: Sequence[int]) -> int:
        """Remove these records. Returns how many conversions had been sent for them."""

    @abstractmethod
    def empty(self, rows: Sequence[LeadImportRow], records: Mapping[int, Any]) -> None:
        """Empty each field that still has the import's value, and set `undo` of the rows."""
