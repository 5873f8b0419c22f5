"""Makes a lead of a payload's fields, or adds what they say to the lead that has this address already."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crm.data_exchange.importing.cells import SHARED, TEXTS, readers_of_leads
from crm.data_exchange.importing.columns import guess_columns
from crm.data_exchange.importing.matching import known_lead, news_for
from crm.data_exchange.importing.objects.registry import OBJECTS
from crm.intake.bodies import Unreadable
from crm.models import (
    ImportSubject,
    IntakeSource,
    Lead,
    LeadMeaning,
    LeadStatus,
    Note,
)
from crm.models.intake import PayloadOutcome, RefusalReason

# Filled in only by programs: people don't see it. It is in the snippet of docs/guide/admin.md.
HONEYPOT: Final = "leave_this_empty"
# What a person writes to the company is about this day, not about the person for good: a note in the history.
MESSAGES: Final = frozenset(
    ["message", "yourmessage", "your-message", "bericht", "nachricht", "mensaje"]
)
LONGEST_NOTE: Final = 10_000  # characters
NAMES: Final = ("first_name", "last_name")
DIGITS_AT_LEAST: Final = 5  # of a phone number
# Names of fields that ask whether data may be shared, in any form. Too many rather than too few: what is unclear is
# not shared.
_ASKS: Final = re.compile(
    r"(?P<out>opt(?:ed)?[ _-]*out|unsubscri|do[ _-]*not|afgemeld|abgemeldet|widerspruch|desinscrit|desabonn|dadodebaja)"
    r"|consent|opt(?:ed)?[ _-]*in\b|gdpr|dsgvo|avg\b|marketing|agree|share|sharing|newsletter"
    r"|toestemming|einwilligung|zustimmung",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Result:
    """What has come of a payload."""

    outcome: PayloadOutcome
    lead: Lead | None = None


def take_in(source: IntakeSource, fields: Mapping[str, str]) -> Result:
    """Add the lead or update a known one, in the caller's transaction. Raises Unreadable if no one can be reached."""
    if fields.get(HONEYPOT):
        return Result(PayloadOutcome.SPAM)
    values = values_of(fields)
    if not values.keys() & {"email", "phone"}:
        raise Unreadable(RefusalReason.NO_CONTACT)
    # A number alone finds no one: a stranger's must not end up with another lead.
    is_someone = values.keys() & {"email", *NAMES}
    lead = known_lead(source.company_id, values) if is_someone else None
    if lead is None:
        result = Result(PayloadOutcome.ADDED, _added(source, values))
    else:
        _fill(lead, values)
        result = Result(PayloadOutcome.UPDATED, lead)
    _note_message(result.lead, fields)
    return result


def values_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """The values of a lead in these fields, guessed by their names as an import guesses its columns.

    A value that can't be read is left out; an unclear consent is None.
    """
    texts = {path: text for path, text in fields.items() if text}
    paths = [*texts]
    header = [_name_of(path) for path in paths]
    [leads] = [each for each in OBJECTS if each.subject == ImportSubject.LEAD]
    guesses = guess_columns(leads, header, [[*texts.values()]], custom={})
    readers = readers_of_leads()
    values: dict[str, Any] = {}
    for path, guess in zip(paths, guesses, strict=True):
        # A number may be anything, but an address is an address.
        is_clear = guess.is_sure or guess.field == "email"
        if guess.field not in readers or is_message(path) or not is_clear:
            continue
        found, _ = readers[guess.field](texts[path])
        values = {**found, **values}
    values.pop(SHARED, None)
    if sum(map(str.isdigit, values.get("phone", ""))) < DIGITS_AT_LEAST:
        values.pop("phone", None)
    values |= _consent_in(fields)
    return {name: value for name, value in values.items() if value != ""}


def _consent_in(fields: Mapping[str, str]) -> dict[str, bool | None]:
    """No if any field says no, None if one is unclear or empty. Nothing if no field asks."""
    readers = readers_of_leads()
    answers = []
    for path, text in fields.items():
        asks = _ASKS.search(_name_of(path))
        if asks:
            kind = "opted_out" if asks["out"] else "consent"
            found, _ = readers[kind](text)
            answers.append(found.get(SHARED))
    if not answers:
        return {}
    if False in answers:
        return {SHARED: False}
    return {SHARED: None if None in answers else True}


def _name_of(path: str) -> str:
    return path.rpartition(".")[2]


def is_message(path: str) -> bool:
    return _name_of(path).casefold() in MESSAGES


def _added(source: IntakeSource, values: Mapping[str, Any]) -> Lead:
    texts = {name: value for name, value in values.items() if name in TEXTS}
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


def _note_message(lead: Lead | None, fields: Mapping[str, str]) -> None:
    texts = [text for path, text in fields.items() if text and is_message(path)]
    if lead is not None and texts:
        text = "\n\n".join(texts)[:LONGEST_NOTE]
        Note.objects.create(company_id=lead.company_id, lead=lead, text=text)
