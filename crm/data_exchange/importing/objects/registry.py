"""The objects that can be imported."""

from typing import Final

from crm.data_exchange.importing.objects.definition import ImportedObject
from crm.data_exchange.importing.objects.leads import LEADS
from crm.models import LeadImport

OBJECTS: Final[tuple[ImportedObject, ...]] = (LEADS,)


def object_of(lead_import: LeadImport) -> ImportedObject:
    """What the import's file holds."""
    return LEADS
