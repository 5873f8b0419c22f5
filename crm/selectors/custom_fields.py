"""Custom fields for pages: which a company has, and the values of a lead or deal as people read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crm.lists.custom_fields import as_text
from crm.models import Company, CustomField, FieldSubject, FieldType
from crm.models.custom_values import Value


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


def shown_values(
    fields: Iterable[CustomField], values: Mapping[str, Value], company: Company
) -> list[ShownValue]:
    """The fields, each with its value."""
    return [
        ShownValue(field, as_text(field, values.get(field.key), company))
        for field in fields
    ]


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
            [
                field
                for field in fields
                if field.subject == subject and not field.is_archived
            ],
            [
                field
                for field in fields
                if field.subject == subject and field.is_archived
            ],
        )
        for subject in FieldSubject
    ]
