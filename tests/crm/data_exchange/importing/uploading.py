"""Uploads as a browser sends them, and the work on them as a worker does it."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from crm.data_exchange.importing.work import advance
from crm.models import Lead, LeadImport, Membership
from crm.services import lead_imports

HEADER = "First name,Last name,E-mail,Phone,Company,Job title"
PEOPLE = f"""{HEADER}
Ines,Moreau,ines@harbour.example,+31 6 1111 1111,Harbour Freight,Head of Fleet
Tomas,Berg,t.berg@fjord.example,,Fjord Foods,Buyer
Aisha,Rahman,,+32 470 11 11 11,Marble Dental,Owner
"""


def upload(
    member: Membership, text: str | bytes, name: str = "leads.csv"
) -> LeadImport:
    """The import of an uploaded file, read and checked."""
    content = text if isinstance(text, bytes) else text.encode()
    file = SimpleUploadedFile(name, content)
    return work_on(
        lead_imports.upload(company=member.company, file=file, actor=member.user)
    )


def run(lead_import: LeadImport, member: Membership, **fields: Any) -> LeadImport:
    """The import, when it has ended."""
    choice = {"owner": None, "tells_platforms": False, **fields}
    assert lead_imports.start(lead_import=lead_import, actor=member.user, **choice)
    return work_on(lead_import)


def undo(done: LeadImport, member: Membership) -> LeadImport:
    """The import, when it has been undone."""
    assert lead_imports.undo(lead_import=done, actor=member.user)
    return work_on(done)


def work_on(lead_import: LeadImport) -> LeadImport:
    while advance(lead_import.pk):
        pass
    lead_import.refresh_from_db()
    return lead_import


def names() -> list[str]:
    return sorted(lead.name for lead in Lead.objects.all())
