"""The leads: an event about somebody without an e-mail address can't be sent."""

from collections.abc import Iterator
from typing import Final

from django.db.models import Count, Q
from django.urls import reverse

from capi.doctor.findings import Check, Finding, Level
from crm.models import Company, Lead

NEWEST: Final = 10_000  # older ones say little about what comes in
ENOUGH_PERCENT: Final = 70


def findings(company: Company) -> Iterator[Finding]:
    newest = Lead.objects.for_company(company).not_erased().order_by("-pk")[:NEWEST]
    counts = newest.aggregate(all=Count("pk"), reachable=Count("pk", filter=~Q(email="")))
    link = reverse("leads")
    if not counts["all"]:
        mend = "Add the first one: without leads nothing happens that could be sent."
        yield Finding(Check.LEADS, Level.UNKNOWN, "There are no leads yet.", mend, link)
        return
    percent = 100 * counts["reachable"] // counts["all"]
    sentence = f"{percent} % of the newest {counts['all']:,} have one."
    if percent >= ENOUGH_PERCENT:
        yield Finding(Check.LEADS, Level.GREEN, sentence, link=link)
    else:
        mend = "Ask for the address where leads come in: events about the others wait for one, for 90 days at most."
        yield Finding(Check.LEADS, Level.AMBER, sentence, mend, link)
