"""A company's conversion rules as LinkedIn has them, and what of that is kept with ours."""

from collections.abc import Collection, Iterable
from dataclasses import astuple
from typing import Final

from django.core.cache import cache
from django.utils import timezone

from capi.delivery.http_session import client
from capi.linkedin.rules import LinkedInRule, ReadStatus, RulesRead, read_rules
from capi.models import Connection, ConversionRule
from capi.models.token import unseal

READ_SECONDS: Final = 10.0  # a person waits for it
KNOWN_FOR_SECONDS: Final = 300
FACTS: Final = ("linkedin_type", "linkedin_method", "linkedin_enabled", "linkedin_read_at")


def ask_linkedin(connection: Connection, *, seconds: float = READ_SECONDS) -> RulesRead:
    """What LinkedIn says about the rules of the connection's ad account. Nothing is written.

    The connection must have a token and an ad account. Raises `token.UnreadableToken`; a refusal, or no answer, is an
    outcome like any other. Never within a transaction: it may take `seconds`.
    """
    token = unseal(company_id=connection.company_id, sealed=connection.sealed_token)
    return read_rules(client(), token=token, ad_account_id=connection.ad_account_id, seconds=seconds)


def known_rules(connection: Connection) -> RulesRead | None:
    """What LinkedIn said within the last KNOWN_FOR_SECONDS, None where it was not asked or had no list."""
    known = cache.get(_key(connection))
    if known is None:
        return None
    rules, is_whole = known
    return RulesRead(ReadStatus.FOUND, tuple(LinkedInRule(*fields) for fields in rules), is_whole)


def read_anew(connection: Connection) -> RulesRead:
    """Ask LinkedIn as `ask_linkedin` does. The list is kept for a while, and the facts with our rules."""
    read = ask_linkedin(connection)
    if read.outcome == ReadStatus.FOUND:
        cache.set(_key(connection), [[astuple(rule) for rule in read.rules], read.is_whole], KNOWN_FOR_SECONDS)
        note_facts(company_id=connection.company_id, rules=read.rules)
    return read


def note_facts(*, company_id: int, rules: Collection[LinkedInRule]) -> None:
    """Keep with the company's own rules what LinkedIn says of them."""
    own = ConversionRule.objects.for_company(company_id).filter(linkedin_id__in=[rule.id for rule in rules])
    ConversionRule.objects.bulk_update(take_all_facts(own, rules), FACTS)


def take_all_facts(own: Iterable[ConversionRule], rules: Iterable[LinkedInRule]) -> list[ConversionRule]:
    """Put LinkedIn's facts into those of our rules that it told of, and return them. They are not saved."""
    told = {rule.id: rule for rule in rules}
    known = [rule for rule in own if rule.linkedin_id in told]
    for rule in known:
        take_facts(rule, told[rule.linkedin_id])
    return known


def take_facts(rule: ConversionRule, told: LinkedInRule) -> None:
    """Put LinkedIn's facts into the rule, which is not saved."""
    rule.linkedin_type, rule.linkedin_method, rule.linkedin_enabled = told.type, told.method, told.enabled
    rule.linkedin_read_at = timezone.now()


def _key(connection: Connection) -> str:
    # A new token may see less, and another account has other rules.
    return f"company:{connection.company_id}:rules:{connection.ad_account_id}:{connection.token_version}"
