"""Custom fields for pages: which a company has, and the values of a lead or deal as people read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from crm.models import Company, CustomField, FieldSubject, FieldType
from crm.models.bidi import without_bidi_controls
from crm.models.custom_values import Value
from crm.templatetags.formatting import day, money


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A field with its value as text, "" if it has none."""

    field: CustomField
    text: str

    @property
    def is_link(self) -> bool:
        return self.field.type == FieldType.URL

    @property
    def is_phone(self) -> bool:
        return self.field.type == FieldType.PHONE


def fields_in_use(company: Company, subject: FieldSubject) -> list[CustomField]:
    """The fields of the company's leads or deals that aren't archived, in order. One query."""
    return list(CustomField.objects.of(company, subject).in_use())


def shown_values(fields: Iterable[CustomField], values: Mapping[str, Value], company: Company) -> list[ShownValue]:
    """The fields, each with its value."""
    return [ShownValue(field, as_text(field, values.get(field.key), company)) for field in fields]


def as_text(field: CustomField, value: Value | None, company: Company) -> str:
    """The value as people read it. Amounts are in the company's currency."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list):
        return ", ".join(without_bidi_controls(field.labels.get(key, key)) for key in value)
    match field.type:
        case FieldType.CHOICE:
            return without_bidi_controls(field.labels.get(value, value))
        case FieldType.DATE:
            return day(date.fromisoformat(value))
        case FieldType.MONEY:
            return money(Decimal(value), company.currency)
        case FieldType.NUMBER:
            return grouped_number(value)
    return value


def grouped_number(text: str) -> str:
    """The number with commas between thousands."""
    return f"{Decimal(text):,}"


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """The fields of leads or of deals, for the page that changes them."""

    subject: FieldSubject
    in_use: Sequence[CustomField]
    archived: Sequence[CustomField]

    @property
    def count(self) -> int:
        return len(self.in_use) + len(self.archived)


def field_groups(company: Company) -> list[FieldGroup]:
    """All fields of the company by what has them. One query."""
    fields = list(CustomField.objects.for_company(company).not_removed())
    return [
        FieldGroup(
            subject,
            [field for field in fields if field.subject == subject and not field.is_archived],
            [field for field in fields if field.subject == subject and field.is_archived],
        )
        for subject in FieldSubject
    ]
