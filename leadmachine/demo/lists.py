"""An admin's changes of the lists: sources, tags with colours, and a status of the company's own."""

import random
from typing import Final

from crm.models import Colour, Company, Deal, Lead, LeadMeaning, LeadSource, LeadStatus, Tag
from crm.models.tag import add_links
from leadmachine.demo import people

TAGS: Final = (
    ("VIP", Colour.PURPLE), ("Newsletter", Colour.BLUE), ("Needs a demo", Colour.AMBER), ("Renewal", Colour.GREEN),
)  # fmt: skip
TAGGED: Final = 0.3  # the share of leads and deals that have tags


def fill(company: Company, dice: random.Random) -> None:
    """Fill the lists, and tag some of the leads and deals, which must exist already."""
    LeadSource.objects.bulk_create(
        LeadSource(company=company, name=name, position=position)
        for position, name in enumerate(dict.fromkeys(people.SOURCES), start=1)
    )
    LeadStatus.objects.create(
        company=company, name="Nurture", meaning=LeadMeaning.WORKING, colour=Colour.PURPLE, position=5
    )
    tags = Tag.objects.bulk_create(
        Tag(company=company, name=name, colour=colour, position=position)
        for position, (name, colour) in enumerate(TAGS, start=1)
    )
    for model in (Lead, Deal):
        pks = list(model.objects.for_company(company).order_by("pk").values_list("pk", flat=True))
        add_links(model, company.pk, [(pk, dice.choice(tags)) for pk in pks if dice.random() < TAGGED])
