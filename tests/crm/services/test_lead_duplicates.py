"""Leads that may be one person: what counts as alike, and what the worker notes."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from crm.models import DuplicateSearch, Lead, LeadDuplicate
from crm.models.lead_duplicate import likely_duplicates
from crm.services.erasure import erase_lead
from crm.services.lead_duplicates import dismiss, look_for_duplicates
from crm.services.lead_merges import merge_leads
from tests.conftest import make_lead

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

PERSON = {
    "first_name": "Pieter",
    "last_name": "Dekker",
    "email": "pieter@granite.example",
    "organisation": "Granite BV",
}


def look():
    Lead.objects.update(updated_at=Now() - timedelta(minutes=2))
    DuplicateSearch.objects.update(reached_at=Now() - timedelta(hours=1))
    look_for_duplicates(go_on=lambda: True)


def pairs():
    return list(LeadDuplicate.objects.open().values_list("first", "second", "reason"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"email": "PIETER@granite.example"}, "address"),
        ({"phone": "0031 (20) 555-0142"}, "phone"),
        ({"first_name": "P.", "last_name": "Dekker", "organisation": "granite"}, "name"),
        ({"first_name": "Dekker", "last_name": "Pieter", "organisation": "Granite BV"}, "name"),
        ({"first_name": "Piéter", "last_name": "Dekkers", "organisation": "Granite BV Utrecht"}, "name"),
        ({"first_name": "Pieter", "last_name": "Dekker", "organisation": "Basalt"}, ""),
        ({"first_name": "Pieter", "last_name": "Dekker"}, ""),
        ({"first_name": "Mara", "last_name": "Dekker", "organisation": "Granite BV"}, ""),
        ({"first_name": "Pieter", "last_name": "Jansen", "organisation": "Granite BV"}, ""),
        ({"first_name": "%", "last_name": "_", "phone": "12", "organisation": "%%%"}, ""),
    ],
)
def test_what_makes_two_leads_alike(company, fields, reason):
    lead = make_lead(company, **PERSON, phone="+31 20 555 0142")
    other = Lead(company=company, **fields)

    assert [(each.lead, each.reason) for each in likely_duplicates(other)] == ([(lead, reason)] if reason else [])


def test_another_companys_leads_and_those_that_are_no_more_are_not_alike(company, other_company):
    make_lead(other_company, **PERSON)
    kept, gone = make_lead(company, email="kept@example.com"), make_lead(company, **PERSON)
    merge_leads(kept=kept, gone=gone)

    assert [each.lead for each in likely_duplicates(Lead(company=company, **PERSON))] == [kept]


def test_the_worker_notes_each_pair_once_and_forgets_it_when_it_is_no_longer_alike(company):
    first, second = make_lead(company, **PERSON), make_lead(company, **PERSON)
    look()
    look()
    assert pairs() == [(first.pk, second.pk, "address")]

    Lead.objects.filter(pk=second.pk).update(email="", first_name="Mara")
    look()

    assert pairs() == []


def test_a_lead_that_was_changed_a_moment_ago_is_looked_at_later(company):
    make_lead(company, **PERSON)
    make_lead(company, **PERSON)

    look_for_duplicates(go_on=lambda: True)
    assert pairs() == []
    Lead.objects.update(updated_at=Now() - timedelta(minutes=2))
    look_for_duplicates(go_on=lambda: True)

    assert len(pairs()) == 1


def test_two_people_stay_two_people(company):
    make_lead(company, **PERSON)
    make_lead(company, **PERSON)
    look()

    dismiss(pair=LeadDuplicate.objects.get())
    look()

    assert pairs() == []


def test_a_merge_ends_the_pairs_of_the_lead_that_goes(company):
    first, second = make_lead(company, **PERSON), make_lead(company, **PERSON)
    look()

    merge_leads(kept=first, gone=second)
    assert pairs() == []
    look()

    assert pairs() == []


@pytest.mark.django_db(transaction=True)
def test_an_erasure_leaves_no_pair(company):
    lead = make_lead(company, **PERSON)
    make_lead(company, **PERSON)
    look()

    erase_lead(lead=lead)

    assert not LeadDuplicate.objects.exists()


def test_each_round_goes_on_where_the_last_one_ended(company, monkeypatch):
    monkeypatch.setattr("crm.services.lead_duplicates.AT_ONCE", 2)
    leads = [make_lead(company, email=f"{number // 2}@example.com") for number in range(6)]

    look()

    assert sorted(pairs()) == [(leads[at].pk, leads[at + 1].pk, "address") for at in (0, 2, 4)]
