"""A company's conversion rules as LinkedIn has them, and the facts about them that we save with our own rules."""

from collections.abc import Collection, Iterable
from dataclasses import astuple
from datetime import datetime
from typing import Final

from django.core.cache import cache
from django.db.models.functions import Now

from capi.delivery.http_session import client
from capi.linkedin.rules import LinkedInRule, ReadStatus, RulesRead, read_rules
from capi.models import Connection, ConversionRule
from capi.models.functions import database_now
from capi.models.token import unseal

READ_SECONDS: Final = 10.0  # a person waits for it
KNOWN_FOR_SECONDS: Final = 300
FACTS: Final = (
    "linkedin_type",
    "linkedin_method",
    "linkedin_enabled",
    "linkedin_read_at",
)


def fetch_rules(connection: Connection, *, seconds: float = READ_SECONDS) -> RulesRead:
    """Read the rules of the connection's ad account from LinkedIn. Nothing is written.

    The connection must have a token and an ad account. Returns a `RulesRead` even if LinkedIn refuses or doesn't
    answer; raises `token.UnreadableToken`. Never call it in a transaction: it may take `seconds`.
    """
    token = unseal(company_id=connection.company_id, sealed=connection.sealed_token)
    return read_rules(
        client(), token=token, ad_account_id=connection.ad_account_id, seconds=seconds
    )


def cached_rules(connection: Connection) -> RulesRead | None:
    """The list that was read in the last KNOWN_FOR_SECONDS. None if there is none."""
    cached = cache.get(_key(connection))
    if cached is None:
        return None
    rules, is_whole = cached
    return RulesRead(
        ReadStatus.FOUND, tuple(LinkedInRule(*fields) for fields in rules), is_whole
    )


def refresh_rules(connection: Connection) -> RulesRead:
    """As `fetch_rules`, but the list is cached, and its facts are saved with our rules."""
    read = fetch_rules(connection)
    if read.outcome == ReadStatus.FOUND:
        note_confirmed(connection)
        cache.set(
            _key(connection),
            [[astuple(rule) for rule in read.rules], read.is_whole],
            KNOWN_FOR_SECONDS,
        )
        save_facts(company_id=connection.company_id, rules=read.rules)
    return read


def note_confirmed(connection: Connection) -> None:
    """Note that LinkedIn has just accepted this token, unless another one has been saved meanwhile."""
    same_token = Connection.objects.filter(
        pk=connection.pk, token_version=connection.token_version
    )
    same_token.update(token_confirmed_at=Now())
    connection.refresh_from_db(fields=["token_confirmed_at"])


def save_facts(*, company_id: int, rules: Collection[LinkedInRule]) -> None:
    """Save LinkedIn's facts with the company's own rules."""
    own = ConversionRule.objects.for_company(company_id).filter(
        linkedin_id__in=[rule.id for rule in rules]
    )
    ConversionRule.objects.bulk_update(
        set_all_facts(own, rules, read_at=database_now()), FACTS
    )


def set_all_facts(
    own: Iterable[ConversionRule], rules: Iterable[LinkedInRule], *, read_at: datetime
) -> list[ConversionRule]:
    """Set LinkedIn's facts on our rules that it listed. Returns these rules, which are not saved."""
    by_id = {rule.id: rule for rule in rules}
    listed = [rule for rule in own if rule.linkedin_id in by_id]
    for rule in listed:
        set_facts(rule, by_id[rule.linkedin_id], read_at=read_at)
    return listed


def set_facts(rule: ConversionRule, facts: LinkedInRule, *, read_at: datetime) -> None:
    """Set LinkedIn's facts on the rule without saving it."""
    rule.linkedin_type, rule.linkedin_method, rule.linkedin_enabled = (
        facts.type,
        facts.method,
        facts.enabled,
    )
    rule.linkedin_read_at = read_at


def _key(connection: Connection) -> str:
    # A new token may see less, and another account has other rules.
    return f"company:{connection.company_id}:rules:{connection.ad_account_id}:{connection.token_version}"
