"""Finding a deal by its title and by what is written about its lead: as Python does, on each database."""

import json
import random
import threading

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connection, transaction

from crm.models import Deal, Lead
from crm.models.tracking.snapshots import supports_returning_old
from crm.search.conditions import parts_of, phone_digits, words_of
from crm.search.folding import search_text
from tests.conftest import make_deal, make_lead
from tests.crm.search.test_lead_search_same_rows import (
    FIRST_NAMES,
    LAST_NAMES,
    ORGANISATIONS,
    PHONES,
    query,
)

pytestmark = pytest.mark.django_db

TITLES = [
    "Forty licences",
    "Büro Köln",
    "İstanbul",
    "Angebot 0142",
    "100% a_b",
    "Ärger \\n",
    "q4",
    "Größe",
]
QUERIES = 200


def titles(company, text):
    return [deal.title for deal in Deal.objects.order_by("pk").search(company, text)]


@pytest.fixture
def deals(company):
    choose = random.Random(20260312)
    return [
        make_deal(
            make_lead(
                company,
                first_name=choose.choice(FIRST_NAMES),
                last_name=choose.choice(LAST_NAMES),
                organisation=choose.choice(ORGANISATIONS),
                email=choose.choice(["", f"person{number}@example.com"]),
                phone=choose.choice(PHONES),
            ),
            title=choose.choice(TITLES),
        )
        for number in range(100)
    ]


def found_in_python(deals, text):
    def holds(deal):
        lead = deal.lead
        of_lead = search_text(
            lead.first_name,
            lead.last_name,
            lead.email,
            lead.organisation,
            lead.title,
            lead.phone,
        )
        said = f"{search_text(deal.title, '')}{of_lead}"
        words = zip(parts_of(text), map(phone_digits, words_of(text)), strict=True)
        whole = phone_digits(text)
        return all(
            part in said or (digits and digits in said) for part, digits in words
        ) or bool(whole and whole in said)

    return [deal.pk for deal in deals if holds(deal)]


def test_two_hundred_searches_find_what_python_finds(company, deals):
    choose = random.Random(7)
    texts = [
        query(choose, [deal.lead for deal in deals])
        for _ in range(QUERIES - len(TITLES))
    ]
    texts += [title.swapcase() for title in TITLES]

    found = {
        text: [deal.pk for deal in Deal.objects.order_by("pk").search(company, text)]
        for text in texts
    }

    assert {
        text: pks for text, pks in found.items() if pks != found_in_python(deals, text)
    } == {}
    assert sum(bool(pks) for pks in found.values()) > QUERIES / 2


def test_a_title_and_a_lead_together_have_every_word_whatever_its_accents(company):
    lead = make_lead(company, first_name="Zoë", phone="+31 20 555 0142")
    make_deal(lead, title="Büro")
    make_deal(lead, title="Training")

    assert titles(company, "zoe buro") == ["Büro"]
    # Short words begin a word, as in a search of leads.
    assert titles(company, "tr zo") == ["Training"]
    assert titles(company, "ra") == []
    assert titles(company, "+31 20 5550142") == ["Büro", "Training"]


def test_a_change_of_the_lead_or_of_the_deal_by_sql_alone_is_found(company):
    ada, grace = (
        make_lead(company, first_name="Ada"),
        make_lead(company, first_name="Grace"),
    )
    deal = make_deal(ada, title="Licences")

    Lead.objects.filter(pk=ada.pk).update(first_name="Zoë", email="")
    assert (titles(company, "zoe"), titles(company, "ada")) == (["Licences"], [])

    Deal.objects.filter(pk=deal.pk).update(title="Seats", lead=grace)
    assert (
        titles(company, "seats grace"),
        titles(company, "zoe"),
        titles(company, "licences"),
    ) == (["Seats"], [], [])


def test_a_save_of_a_deal_has_no_statement_more(company, django_assert_max_num_queries):
    deal = make_deal(make_lead(company))
    deal.title = "Seats"

    with django_assert_max_num_queries(1 if supports_returning_old(connection) else 3):
        deal.save()

    assert titles(company, "seats") == ["Seats"]


def test_of_a_lead_that_is_merged_only_the_title_is_found(company):
    ada, zoe = (
        make_lead(company, first_name="Ada"),
        make_lead(company, first_name="Zoë", email=""),
    )
    make_deal(zoe, title="Licences")

    Lead.objects.filter(pk=zoe.pk).update(merged_into=ada)
    assert (titles(company, "zoe"), titles(company, "licences")) == ([], ["Licences"])

    Lead.objects.filter(pk=zoe.pk).update(merged_into=None)
    assert titles(company, "zoe") == ["Licences"]


def test_nothing_is_found_of_another_company(company, other_company):
    make_deal(make_lead(other_company, first_name="Zoë"), title="Theirs")

    assert titles(company, "zoe") == titles(company, "theirs") == []


def test_a_fixture_may_bring_a_deal_before_its_lead(company, tmp_path):
    lead = make_lead(company, first_name="Zoë", email="")
    deal = make_deal(lead, title="Licences")
    rows = json.loads(serializers.serialize("json", [deal, lead]))
    lead.delete()
    fixture = tmp_path / "deals.json"
    fixture.write_text(json.dumps(rows))

    call_command("loaddata", str(fixture), verbosity=0)

    assert titles(company, "zoe licences") == ["Licences"]


@pytest.mark.django_db(transaction=True)
def test_a_deal_that_is_added_while_its_lead_is_renamed_is_found_by_the_new_name(
    company,
):
    lead = make_lead(company, first_name="Ada", email="")

    def add():
        try:
            make_deal(lead, title="Licences")
        finally:
            connection.close()

    other = threading.Thread(target=add)
    with transaction.atomic():
        Lead.objects.filter(pk=lead.pk).update(first_name="Zoë")
        other.start()
        other.join(0.3)  # it waits for the commit
    other.join()

    assert (titles(company, "zoe"), titles(company, "ada")) == (["Licences"], [])
