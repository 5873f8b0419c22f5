"""What an admin changes: sources, tags with colours, a status of the company's own, and custom fields with values."""

import random
from datetime import date, timedelta
from typing import Final

from crm.models import (
    Colour,
    Company,
    CustomField,
    Deal,
    FieldSubject,
    FieldType,
    Lead,
    LeadMeaning,
    LeadSource,
    LeadStatus,
    Tag,
)
from crm.models.custom_values import Value
from crm.models.tag import add_links
from crm.services.custom_fields import add_field
from leadmachine.demo import people

TAGS: Final = (
    ("VIP", Colour.PURPLE),
    ("Newsletter", Colour.BLUE),
    ("Needs a demo", Colour.AMBER),
    ("Renewal", Colour.GREEN),
)
REGIONS: Final = (("", "Benelux"), ("", "DACH"), ("", "Nordics"))
EMPTY: Final = 0.25  # the share of values that are empty
TAGGED: Final = 0.3  # the share of leads and deals that have tags


def fill(company: Company, dice: random.Random) -> None:
    """Fill the lists, and tag some of the leads and deals, which must exist already."""
    LeadSource.objects.bulk_create(
        LeadSource(company=company, name=name, position=position)
        for position, name in enumerate(dict.fromkeys(people.SOURCES), start=1)
    )
    LeadStatus.objects.create(
        company=company,
        name="Nurture",
        meaning=LeadMeaning.WORKING,
        colour=Colour.PURPLE,
        position=5,
    )
    tags = Tag.objects.bulk_create(
        Tag(company=company, name=name, colour=colour, position=position)
        for position, (name, colour) in enumerate(TAGS, start=1)
    )
    for model in (Lead, Deal):
        pks = list(
            model.objects.for_company(company)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        add_links(
            model,
            company.pk,
            [(pk, dice.choice(tags)) for pk in pks if dice.random() < TAGGED],
        )


def add_custom_fields(company: Company, dice: random.Random) -> None:
    """Add the fields, and values in most of the leads and deals. A change of a custom value causes no CRM event."""
    _add_field(company, FieldSubject.LEAD, "Seats", FieldType.NUMBER, is_listed=True)
    _add_field(
        company,
        FieldSubject.LEAD,
        "Region",
        FieldType.CHOICE,
        labels=REGIONS,
        is_listed=True,
    )
    _add_field(
        company,
        FieldSubject.LEAD,
        "Interested in",
        FieldType.CHOICES,
        labels=(("", "Reporting"), ("", "Integrations"), ("", "Support")),
    )
    _add_field(company, FieldSubject.LEAD, "Renewal", FieldType.DATE)
    _add_field(company, FieldSubject.DEAL, "Contract", FieldType.URL)
    _add_field(company, FieldSubject.DEAL, "Yearly budget", FieldType.MONEY)
    leads = list(
        Lead.objects.for_company(company).only("pk", "created_at").order_by("pk")
    )
    for lead in leads:
        renewal = lead.created_at.date() + timedelta(days=dice.randrange(90, 700))
        lead.custom = _lead_values(dice, renewal)
    Lead.objects.bulk_update(leads, ["custom"])
    deals = list(Deal.objects.for_company(company).only("pk").order_by("pk"))
    for deal in deals:
        budget = f"{dice.randrange(10, 400) * 500}.00"
        deal.custom = _some(
            dice,
            {"contract": f"https://files.example/{deal.pk}", "yearly_budget": budget},
        )
    Deal.objects.bulk_update(deals, ["custom"])


def _add_field(
    company: Company,
    subject: FieldSubject,
    name: str,
    kind: FieldType,
    *,
    labels: tuple[tuple[str, str], ...] = (),
    is_listed: bool = False,
) -> None:
    field = CustomField(
        company=company, subject=subject, name=name, type=kind, is_listed=is_listed
    )
    add_field(field=field, labels=labels)


def _lead_values(dice: random.Random, renewal: date) -> dict[str, Value]:
    values: dict[str, Value] = {
        "seats": str(dice.choice((5, 12, 25, 40, 80, 150))),
        "region": dice.choice(("benelux", "dach", "nordics")),
        "interested_in": dice.choice(
            (["reporting"], ["integrations", "support"], ["reporting", "support"])
        ),
        "renewal": renewal.isoformat(),
    }
    return _some(dice, values)


def _some(dice: random.Random, values: dict[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in values.items() if dice.random() > EMPTY}
