"""The demo company: three months of believable work, so that every page has something to show.

    people   who signs in, at which of the two companies
    cast     the names that leads are made of; all synthetic, all at .example
    crm      leads and deals, spread over the last 94 days
    rules    the connection to the sandbox and what is mapped
    log      what became of the conversion events: every state that there is

The history is settled here, in the database, and not sent: the sandbox would take it, but every attempt would then
carry today's date, and the first start would begin with 400 old events. Only one event is left to be sent by itself,
and whatever a person does from then on.
"""

import random
from datetime import datetime

from django.db import transaction

from crm.models import Company
from leadmachine.demo import crm, log, people, rules


@transaction.atomic
def load(now: datetime) -> bool:
    """Make the two companies with their history up to `now`. False, and nothing done, where they exist."""
    if Company.objects.filter(slug=people.NORTHWIND.slug).exists():
        return False
    dice = random.Random(90)  # noqa: S311 - the same demo for everybody
    northwind = people.make(people.NORTHWIND)
    crm.fill(northwind, now, dice, leads=200, deals=60)
    log.fill(northwind, rules.connect(northwind, now), now, dice)
    contoso = people.make(people.CONTOSO)
    crm.fill(contoso, now, dice, leads=12, deals=3)
    return True
