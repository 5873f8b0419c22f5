"""The objects that can be imported."""

from typing import Final

from crm.data_exchange.importing.custom_columns import custom_columns
from crm.data_exchange.importing.objects.deals import DEALS
from crm.data_exchange.importing.objects.definition import ImportedObject
from crm.data_exchange.importing.objects.leads import LEADS
from crm.data_exchange.importing.objects.notes import NOTES
from crm.data_exchange.importing.objects.tasks import TASKS
from crm.models import CustomField, LeadImport

OBJECTS: Final[tuple[ImportedObject, ...]] = (LEADS, DEALS, TASKS, NOTES)
_BY_SUBJECT: Final = {each.subject.value: each for each in OBJECTS}


def object_of(lead_import: LeadImport) -> ImportedObject:
    """What the import's file holds."""
    return _BY_SUBJECT.get(lead_import.subject, LEADS)


def typed_columns(lead_import: LeadImport) -> dict[str, CustomField]:
    """The custom fields that a column can be, and the built-in ones that are numbers or dates. One query."""
    imported = object_of(lead_import)
    return custom_columns(
        lead_import.company, imported.custom_subject, imported.typed_fields
    )
