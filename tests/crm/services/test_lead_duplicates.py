"""Leads that may be one person: what counts as alike, and what the worker notes."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from crm.models import DuplicateSearch, Lead, LeadDuplicate
from crm.models.lead_duplicate import likely_duplicates
from crm.services.erasure import erase_lead
from crm.services.lead_duplicates import dismiss, look_at_some, look_for_duplicates
from crm.services.lead_merges import merge_leads
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

PERSON = {
    "first_name": "Pieter",
    "last_name": "Dekker",
    "email": "pieter@granite.example",
    "organisation": "Granite BV",
}


def find(*, is_sending=False):
    look_for_duplicates(go_on=lambda: True, is_sending=lambda: is_sending)


def look():
    Lead.objects.update(updated_at=Now() - timedelta(minutes=2))
    DuplicateSearch.objects.update(reached_at=Now() - timedelta(hours=1))
    find()


def pairs():
    return list(LeadDuplicate.objects.open().values_list("first", "second", "reason"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"email": "PIETER@granite.example"}, "address"),
        ({"phone": "0031 (20) 555-0142"}, "phone"),
        (
            {"first_name": "P.", "last_name": "Dekker", "organisation": "granite"},
            "name",
        ),
        (
            {
                "first_name": "Dekker",
                "last_name": "Pieter",
                "organisation": "Granite BV",
            },
            "name",
        ),
        (
            {
                "first_name": "Piéter",
                "last_name": "Dekkers",
                "organisation": "Granite BV Utrecht",
            },
            "name",
        ),
        ({"first_name": "Pieter", "last_name": "Dekker", "organisation": "Basalt"}, ""),
        ({"first_name": "Pieter", "last_name": "Dekker"}, ""),
        (
            {"first_name": "Mara", "last_name": "Dekker", "organisation": "Granite BV"},
            "",
        ),
        (
            {
                "first_name": "Pieter",
                "last_name": "Jansen",
                "organisation": "Granite BV",
            },
            "",
        ),
        (
            {"first_name": "%", "last_name": "_", "phone": "12", "organisation": "%%%"},
            "",
        ),
        ({"phone": "0000142"}, ""),
    ],
)
def test_what_makes_two_leads_alike(company, fields, reason):
    lead = make_lead(company, **PERSON, phone="+31 20 555 0142")
    other = Lead(company=company, **fields)

    assert [(each.lead, each.reason) for each in likely_duplicates(other)] == (
        [(lead, reason)] if reason else []
    )


def test_another_companys_leads_and_those_that_are_no_more_are_not_alike(
    company, other_company
):
    make_lead(other_company, **PERSON)
    kept, gone = (
        make_lead(company, email="kept@example.com"),
        make_lead(company, **PERSON),
    )
    merge_leads(kept=kept, gone=gone)

    assert [
        each.lead for each in likely_duplicates(Lead(company=company, **PERSON))
    ] == [kept]


def test_the_worker_notes_each_pair_once_and_forgets_it_when_it_is_no_longer_alike(
    company,
):
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

    find()
    assert pairs() == []
    Lead.objects.update(updated_at=Now() - timedelta(minutes=2))
    find()

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
    leads = [
        make_lead(company, email=f"{number // 2}@example.com") for number in range(6)
    ]

    look()

    assert sorted(pairs()) == [
        (leads[at].pk, leads[at + 1].pk, "address") for at in (0, 2, 4)
    ]


ALIKE = {
    "phone": ({"phone": "020 555 0142"}, {"phone": "+31 20 555 0142"}),
    "name": (
        {"first_name": "Pieter", "last_name": "Dekker", "organisation": "Granite"},
        {
            "first_name": "Pieter",
            "last_name": "Dekker",
            "organisation": "Granite International",
        },
    ),
}


@pytest.mark.parametrize("reason", ALIKE)
@pytest.mark.parametrize("later", [0, 1])
def test_a_pair_is_found_whichever_lead_is_added_last(company, reason, later):
    first, second = ALIKE[reason][1 - later], ALIKE[reason][later]
    lead = make_lead(
        company, **{"email": "", "first_name": "", "last_name": "", **first}
    )
    other = Lead(company=company, **second)

    assert [(each.lead, each.reason) for each in likely_duplicates(other)] == [
        (lead, reason)
    ]


def test_a_pair_by_the_address_of_a_merged_lead_stays_when_the_kept_one_is_changed(
    company,
):
    kept, gone = (
        make_lead(company, email="kept@example.com"),
        make_lead(company, **PERSON),
    )
    merge_leads(kept=kept, gone=gone)
    other = make_lead(company, **PERSON)
    look()
    assert pairs() == [(kept.pk, other.pk, "address")]

    Lead.objects.filter(pk=other.pk).update(updated_at=Now() - timedelta(days=1))
    Lead.objects.filter(pk=kept.pk).update(updated_at=Now() - timedelta(minutes=2))
    find()

    assert [pair[:2] for pair in pairs()] == [(kept.pk, other.pk)]


def test_a_pair_that_one_of_many_candidates_has_pushed_out_is_still_one(
    company, monkeypatch
):
    monkeypatch.setattr("crm.models.lead_duplicate.CANDIDATES_AT_MOST", 1)
    first, second = make_lead(company, **PERSON), make_lead(company, **PERSON)
    look()
    make_lead(company, **PERSON)

    Lead.objects.filter(pk=first.pk).update(updated_at=Now() - timedelta(minutes=2))
    find()

    assert (first.pk, second.pk, "address") in pairs()


def test_the_number_of_a_switchboard_makes_nobody_alike(company, monkeypatch):
    monkeypatch.setattr("crm.models.lead_duplicate.CANDIDATES_AT_MOST", 3)
    for number in range(3):
        make_lead(company, email=f"{number}@example.com", phone="+31 20 555 0142")

    assert likely_duplicates(Lead(company=company, phone="020 555 0142")) == []


def test_leads_that_were_changed_at_one_moment_are_all_looked_at(company, monkeypatch):
    monkeypatch.setattr("crm.services.lead_duplicates.AT_ONCE", 2)
    leads = [
        make_lead(company, email=f"{number // 2}@example.com") for number in range(4)
    ]
    Lead.objects.update(updated_at=datetime(2026, 3, 2, 9, tzinfo=UTC))

    assert look_at_some(company.pk)  # and there the round ends
    find()

    assert (leads[2].pk, leads[3].pk, "address") in pairs()


def test_a_company_whose_leads_can_not_be_compared_keeps_no_other_from_it(
    company, other_company, monkeypatch
):
    for each in (company, other_company):
        make_lead(each, **PERSON)
        make_lead(each, **PERSON)

    def fail(lead):
        if lead.company_id == company.pk:
            raise OperationalError("canceling statement due to statement timeout")
        return likely_duplicates(lead)

    monkeypatch.setattr("crm.services.lead_duplicates.likely_duplicates", fail)
    assert company.pk < other_company.pk

    look()

    assert {pair.company_id for pair in LeadDuplicate.objects.all()} == {
        other_company.pk
    }


def test_while_something_is_sent_a_round_looks_at_a_few_leads_and_no_more(
    company, other_company, monkeypatch
):
    monkeypatch.setattr("crm.services.lead_duplicates.AT_ONCE", 2)
    for each in (company, other_company):
        for number in range(4):
            make_lead(each, email=f"{number // 2}@example.com")
    Lead.objects.update(updated_at=Now() - timedelta(minutes=2))

    found = []
    for _ in range(4):
        find(is_sending=True)
        found.append(len(pairs()))

    assert found == [1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_without_its_database_a_round_ends_at_once(
    company, other_company, monkeypatch, caplog
):
    asked = []
    for each in (company, other_company):
        make_lead(each, **PERSON)
    Lead.objects.update(updated_at=Now() - timedelta(minutes=2))

    def refuse(parameters):
        raise OperationalError("connection refused")

    def lose(lead):
        asked.append(lead)
        connection.connection.close()
        context.setattr(connection, "get_new_connection", refuse)
        return likely_duplicates(lead)

    with monkeypatch.context() as context, pytest.raises(OperationalError):
        context.setattr("crm.services.lead_duplicates.likely_duplicates", lose)
        find()
    connection.close()

    assert (len(asked), [text for text in caplog.messages if "duplicates" in text]) == (
        1,
        [],
    )
