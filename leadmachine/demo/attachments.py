"""A few files on the demo companies' leads and deals."""

import random
from datetime import datetime
from typing import Final

from django.core.files.base import ContentFile

from crm.models import Attachment, Company, Deal, Lead
from crm.models.file_storage import store
from crm.models.roles import Role
from leadmachine.demo import people

ON_LEADS: Final = (
    (
        "Requirements.txt",
        "Forty seats from February.\nSingle sign-on.\nAn export for the works council.\n",
    ),
    ("Notes from the fair.txt", "Knows us from a former employer. Liked the import.\n"),
)
ON_DEALS: Final = (
    (
        "Offer.txt",
        "Forty licences for a year, with support on working days.\nValid for thirty days.\n",
    ),
    ("Seats by team.csv", "Team,Seats\nSales,24\nSupport,10\nFinance,6\n"),
)
ROWS: Final = 6  # how many leads and deals have a file or two


def add(company: Company, now: datetime, dice: random.Random) -> None:
    """Add one or two files to some of the leads and deals, at a time after they were created."""
    seller = people.member(company, Role.SALES)
    leads = Lead.objects.for_company(company).order_by("-pk")[:ROWS]
    deals = (
        Deal.objects.for_company(company).select_related("lead").order_by("-pk")[:ROWS]
    )
    Attachment.objects.bulk_create(
        Attachment(
            company=company,
            lead=row.lead if isinstance(row, Deal) else row,
            deal=row if isinstance(row, Deal) else None,
            name=name,
            size=len(text),
            stored_as=store(ContentFile(text.encode())),
            actor=seller,
            created_at=row.created_at + (now - row.created_at) * dice.random(),
        )
        for row in (*leads, *deals)
        for name, text in dice.sample(
            ON_DEALS if isinstance(row, Deal) else ON_LEADS, dice.randrange(1, 3)
        )
    )
