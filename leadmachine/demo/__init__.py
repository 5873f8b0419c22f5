"""The demo companies: three months of realistic work, so that every page has something to show.

    people   the two companies and their users, and the names of leads: all synthetic, all at .example
    crm      leads and deals, spread over the last 94 days
    lists    sources, tags, a status of the company's own, and custom fields with some values
    notes    notes and calls about leads and deals
    attachments   a few files on leads and deals
    capi     the connection to the sandbox, the conversion rules, and conversion events in every state

The history is written to the database as already settled, and is not sent. The sandbox would accept it, but then every
attempt would have today's date, and the first start would begin with 400 old events. Only one event is left to send.
Any others come from what users do.
"""

import random
from datetime import datetime

from django.db import transaction

from crm.models import Company
from leadmachine.demo import attachments, capi, crm, customisation, notes, people


@transaction.atomic
def load(now: datetime) -> bool:
    """Create the two companies with their history up to `now`. Returns False, without any change, if they exist."""
    if Company.objects.filter(slug=people.NORTHWIND.slug).exists():
        return False
    dice = random.Random(90)  # noqa: S311 - the same demo for everyone
    northwind = people.create(people.NORTHWIND)
    crm.fill(northwind, now, dice, leads=200, deals=60)
    capi.fill(northwind, capi.connect(northwind, now), now, dice)
    contoso = people.create(people.CONTOSO)
    crm.fill(contoso, now, dice, leads=12, deals=3)
    for company in (northwind, contoso):
        crm.add_people(company)
        crm.add_details(company)
        crm.add_tasks(company, now, dice)
        crm.add_view(company)
        customisation.add_custom_fields(company, dice)
    customisation.fill(northwind, dice)
    for company in (northwind, contoso):
        notes.add(company, now, dice)
        attachments.add(company, now, dice)
    return True
