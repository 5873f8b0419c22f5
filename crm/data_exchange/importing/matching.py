"""Finds the leads of the company that the rows of an import are about, and what the rows add to them."""

import re
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, Final

from django.db.models import Prefetch, Value
from django.db.models.functions import Concat, Lower, Trim

from crm.data_exchange.importing.cells import SHARED, TEXTS
from crm.data_exchange.importing.custom_columns import value_of
from crm.data_exchange.importing.tagging import LISTED_TAGS, TAGS, new_tags_of
from crm.lists.columns import CUSTOM
from crm.models import Lead, LeadImport, LeadImportRow
from crm.models.addresses import same_for_all_spellings, spellings
from crm.models.lead import LeadQuerySet
from crm.models.lead_duplicate import has_phone_ending
from crm.search.conditions import phone_digits

NAMED_BY: Final = ("first_name", "last_name", "phone", "organisation")
# Last digits that two numbers share if one has a country code. Two people share nine in one of a billion cases.
WITHOUT_COUNTRY: Final = 9
ASCII_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

Wanted = Mapping[str, Mapping[str, Any]]  # the values of rows, by their `person_key`


def existing_leads(
    lead_import: LeadImport, wanted: Wanted, *, locks: bool
) -> dict[str, Lead]:
    """The oldest lead of each of these people, by `person_key`. With `locks`, locked until the transaction ends.

    The name or address of a lead that was merged into another one finds that one. With `locks`, the leads that this
    import has written are left out: two rows about one person are matched by their keys.
    """
    pks = _people_named(lead_import.company_id, wanted)
    written = written_by(lead_import, "lead_id", pks) if locks else set()
    found = with_kept(lead_import.company_id, pks - written, locks=locks)
    return _by_key(found, wanted)


def known_lead(company_id: int, values: Mapping[str, Any]) -> Lead | None:
    """The oldest lead of this person, locked until the transaction ends, or None."""
    key = person_key(values)
    wanted = {key: values}
    pks = _people_named(company_id, wanted)
    found = with_kept(company_id, pks, locks=True)
    return _by_key(found, wanted).get(key)


def lead_with_phone(company_id: int, phone: str) -> Lead | None:
    """The oldest lead with this number, in any grouping, with or without a country code, locked. Or None."""
    end = phone_digits(phone)[-WITHOUT_COUNTRY:]
    if not end:
        return None
    own = _own(company_id).filter(has_phone_ending(end))
    if len(end) < WITHOUT_COUNTRY:
        own = own.filter(phone__regex="^[^1-9]*" + "[^0-9]*".join(end))
    found = with_kept(company_id, set(own.values_list("pk", flat=True)), locks=True)
    for lead in found.values():
        return found.get(lead.merged_into_id or lead.pk, lead)
    return None


def _people_named(company_id: int, wanted: Wanted) -> set[int]:
    """The ids of the leads that may be one of these people."""
    addresses = [values["email"] for values in wanted.values() if "email" in values]
    names = [_name(values) for values in wanted.values() if "email" not in values]
    return leads_named(company_id, addresses, names)


def leads_named(
    company_id: int, addresses: Sequence[str], names: Sequence[str]
) -> set[int]:
    """The ids of the leads with one of these addresses or whole names, merged ones included. Up to two queries."""
    own = _own(company_id)
    pks: set[int] = set()
    if addresses:
        by_address = own.alias(address=Lower("email")).filter(
            address__one_of_texts=lowered(chain(*map(spellings, addresses)))
        )
        pks |= set(by_address.values_list("pk", flat=True))
    if names:
        whole = Lower(Trim(Concat("first_name", Value(" "), "last_name")))
        by_name = own.alias(whole=whole).filter(whole__one_of_texts=lowered(names))
        pks |= set(by_name.values_list("pk", flat=True))
    return pks


def _own(company_id: int) -> LeadQuerySet:
    return Lead.objects.for_company(company_id).filter(erased_at=None)


def written_by(lead_import: LeadImport, column: str, keys: Collection[int]) -> set[int]:
    """Those of these keys of records that the import has written so far, as this column of its rows has them.

    Python picks out the import's rows. PostgreSQL has no statistics on a new import: in a query it would expect one
    row, and read all rows of the import again for each lead, 46 seconds for 50,000 rows instead of 4.
    """
    own = LeadImportRow.objects.for_company(lead_import.company_id)
    rows = own.filter(**{f"{column}__in": keys})
    return {
        key
        for key, import_id in rows.values_list(column, "lead_import_id")
        if import_id == lead_import.pk
    }


def with_kept(company_id: int, pks: set[int], *, locks: bool) -> dict[int, Lead]:
    """These leads and those that they were merged into, even if that happened while this waited for their locks."""
    own = _own(company_id)
    leads = own.order_by("pk").prefetch_related(Prefetch(TAGS, to_attr=LISTED_TAGS))
    if locks:
        leads = leads.select_for_update(no_key=True)
    merged = own.filter(pk__in=pks, merged_into__isnull=False)
    wanted = pks | {pk for pk in merged.values_list("merged_into", flat=True) if pk}
    while True:
        found = {lead.pk: lead for lead in leads.filter(pk__in=wanted)}
        missing = {
            lead.merged_into_id for lead in found.values() if lead.merged_into_id
        } - wanted
        if not missing:
            return found
        wanted |= missing


def _by_key(leads: Mapping[int, Lead], wanted: Wanted) -> dict[str, Lead]:
    found: dict[str, Lead] = {}
    for lead in leads.values():
        unnamed = {name: getattr(lead, name) for name in NAMED_BY}
        for key in (
            person_key({"email": lead.email}) if lead.email else "",
            person_key(unnamed),
        ):
            if key in wanted:
                found.setdefault(key, leads.get(lead.merged_into_id or lead.pk, lead))
    return found


def news_for(lead: Lead, values: Mapping[str, Any]) -> dict[str, Any]:
    """What these values add to the lead. Only empty fields are filled; an opt-out is never taken back.

    New tags are added to those that the lead has.
    """
    fillable = {
        name: value
        for name, value in values.items()
        if name in TEXTS or name.startswith(CUSTOM)
    }
    news = {
        name: value
        for name, value in fillable.items()
        if value_of(lead, name) in (None, "")
    }
    if values.get(SHARED) is False and lead.share_with_ad_platforms:
        news[SHARED] = False
    if new_tags := new_tags_of(lead, values.get(TAGS, ())):
        news[TAGS] = new_tags
    return news


def person_key(values: Mapping[str, Any], unread_address: str = "") -> str:
    """A hash of what identifies a person: the address, or else the name with the phone number or the organisation.

    With an address that can't be read, a name alone is not enough: it may be about someone else of that name.
    """
    if email := values.get("email", ""):
        return hash_of(same_for_all_spellings(email))
    name = (
        f"{values.get('first_name', '')} {values.get('last_name', '')}".strip().lower()
    )
    digits = re.sub(r"\D", "", values.get("phone", ""))
    other = digits or values.get("organisation", "").lower()
    if unread_address and not other:
        other = f"\n{unread_address.lower()}"
    return hash_of("\n".join(("", name, other)))


def hash_of(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _name(values: Mapping[str, Any]) -> str:
    return f"{values.get('first_name', '')} {values.get('last_name', '')}".strip()


def lowered(texts: Iterable[str]) -> list[str]:
    """The texts as LOWER() returns them: all letters, or only those of ASCII where the locale is C."""
    return [
        *{
            lower
            for text in texts
            for lower in (text.lower(), text.translate(ASCII_LOWER))
        }
    ]
