"""Makes a lead of a payload's fields, or adds what they say to the lead that has this address already."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crm.data_exchange.importing.cells import SHARED, TEXTS, readers_of_leads
from crm.data_exchange.importing.columns import Guess, guess_columns
from crm.data_exchange.importing.matching import (
    known_lead,
    lead_with_phone,
    news_for,
)
from crm.data_exchange.importing.objects.leads import LEADS
from crm.intake.bodies import Unreadable, name_of
from crm.intake.consent import consent_in
from crm.models import (
    IntakeSource,
    Lead,
    LeadMeaning,
    LeadStatus,
    Note,
)
from crm.models.intake import PayloadOutcome, RefusalReason
from crm.models.organisation_figures import organisation_by_domain

# Filled in only by programs: people don't see it. It is in the snippet of docs/guide/admin.md.
HONEYPOT: Final = "leave_this_empty"
# What a person writes to the company is about this day, not about the person for good: a note in the history.
MESSAGES: Final = frozenset(
    ["message", "yourmessage", "your-message", "bericht", "nachricht", "mensaje"]
)
LONGEST_NOTE: Final = 10_000  # characters
NAMES: Final = ("first_name", "last_name")
DIGITS_AT_LEAST: Final = 5  # of a phone number


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a payload, and its lead."""

    outcome: PayloadOutcome
    lead: Lead | None = None


def take_in(source: IntakeSource, fields: Mapping[str, str]) -> Result:
    """Add the lead or update a known one, in the caller's transaction. Raises Unreadable if no one can be reached."""
    if fields.get(HONEYPOT):
        return Result(PayloadOutcome.SPAM)
    values = values_of(fields)
    if not values.keys() & {"email", "phone"}:
        raise Unreadable(RefusalReason.NO_CONTACT)
    lead = _known(source.company_id, values)
    if lead is None:
        lead = _added(source, values)
        outcome = PayloadOutcome.ADDED
    else:
        _fill(lead, values)
        outcome = PayloadOutcome.UPDATED
    _note_message(lead, fields)
    return Result(outcome, lead)


def _known(company_id: int, values: Mapping[str, Any]) -> Lead | None:
    """The lead of this person, locked. A number finds a lead only if nothing else is given: colleagues share one."""
    if values.keys() & {"email", *NAMES}:
        return known_lead(company_id, values)
    return lead_with_phone(company_id, values["phone"])


def values_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """The values of a lead in these fields, guessed by their names as an import guesses its columns.

    A value that can't be read is left out; an unclear consent is None.
    """
    found = _texts_in({path: text for path, text in fields.items() if text})
    digits = [each for each in found.get("phone", "") if each.isdigit()]
    if len(digits) < DIGITS_AT_LEAST:
        found.pop("phone", None)
    return {**found, **consent_in(fields)}


def _texts_in(fields: Mapping[str, str]) -> dict[str, Any]:
    """The values of text fields. Of two fields for the same, the first one counts."""
    header = [name_of(path) for path in fields]
    guesses = guess_columns(LEADS, header, [[*fields.values()]], custom={})
    readers = readers_of_leads()
    values: dict[str, Any] = {}
    for (path, text), guess in zip(fields.items(), guesses, strict=True):
        if _is_text(guess) and not is_message(path):
            found, _ = readers[guess.field](text)
            values = {**found, **values}
    return {name: value for name, value in values.items() if value}


def _is_text(guess: Guess) -> bool:
    # A number may be anything, but an address is an address.
    is_clear = guess.is_sure or guess.field == "email"
    return is_clear and guess.field in (*TEXTS, "full_name")


def is_message(path: str) -> bool:
    return name_of(path).casefold() in MESSAGES


def _added(source: IntakeSource, values: Mapping[str, Any]) -> Lead:
    texts = {name: value for name, value in values.items() if name in TEXTS}
    if "organisation" not in texts:
        email = texts.get("email", "")
        texts["organisation"] = organisation_by_domain(source.company, email)
    lead = Lead(
        company=source.company,
        owner_id=source.owner_id,
        status=LeadStatus.objects.first_for(source.company, LeadMeaning.NEW),
        share_with_ad_platforms=bool(values.get(SHARED, source.shares_without_consent)),
        **{"source": source.name, **texts},
    )
    lead.save()
    return lead


def _fill(lead: Lead, values: Mapping[str, Any]) -> None:
    """Fill what is empty. An opt-out is never taken back."""
    news = news_for(lead, values)
    if lead.first_name or lead.last_name:
        # Half a name would be that of two people.
        news = {name: value for name, value in news.items() if name not in NAMES}
    for name, value in news.items():
        setattr(lead, name, value)
    if news:
        lead.save(update_fields=[*news, "updated_at"])


def _note_message(lead: Lead, fields: Mapping[str, str]) -> None:
    texts = [text for path, text in fields.items() if text and is_message(path)]
    if texts:
        text = "\n\n".join(texts)[:LONGEST_NOTE]
        Note.objects.create(company_id=lead.company_id, lead=lead, text=text)
