"""The notes that the demo companies' people have written, and the calls that they have made."""

import random
from datetime import datetime, timedelta
from typing import Final

from crm.models import Company, Deal, Lead, Note, NoteKind
from crm.models.roles import Role
from leadmachine.demo import people

ON_LEADS: Final = (
    (
        NoteKind.CALL,
        "Six minutes. Wants forty seats from February; the works council has to agree first.",
    ),
    (NoteKind.CALL, "No answer. Left a message."),
    (NoteKind.NOTE, "Prefers e-mail, and not before ten."),
    (
        NoteKind.NOTE,
        "Met at the fair: knows us from a former employer, and liked the import.",
    ),
    (
        NoteKind.CALL,
        "Asked for two references in the same trade.\nSend them with the offer.",
    ),
    (NoteKind.NOTE, "Budget is decided in the third week of the month."),
)
ON_DEALS: Final = (
    (
        NoteKind.CALL,
        "They compare us with one other supplier. Price is not the point, the time to start is.",
    ),
    (NoteKind.NOTE, "Legal wants our terms on their paper: two weeks at least."),
    (
        NoteKind.CALL,
        "Went through the offer line by line. One seat fewer, the rest stands.",
    ),
)
SHARE: Final = 0.5  # of the leads that someone has spoken to, and of the deals
# The age of the latest note, which its author can still edit.
LATELY: Final = timedelta(minutes=12)


def add(company: Company, now: datetime, dice: random.Random) -> None:
    """Add up to three notes to half of the contacted leads and of the deals, at times after they were added."""
    seller = people.member(company, Role.SALES)
    leads = Lead.objects.for_company(company).exclude(status__name="New").order_by("pk")
    deals = Deal.objects.for_company(company).select_related("lead").order_by("pk")
    rows = [row for row in (*leads, *deals) if dice.random() < SHARE]
    notes = [
        Note(
            company=company,
            lead=row.lead if isinstance(row, Deal) else row,
            deal=row if isinstance(row, Deal) else None,
            kind=kind,
            text=text,
            actor=seller,
            created_at=row.created_at + (now - LATELY - row.created_at) * dice.random(),
        )
        for row in rows
        for kind, text in dice.sample(
            ON_DEALS if isinstance(row, Deal) else ON_LEADS, dice.randrange(1, 4)
        )
    ]
    notes[-1].created_at = now - LATELY
    Note.objects.bulk_create(sorted(notes, key=lambda note: note.created_at))
