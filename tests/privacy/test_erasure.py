"""S37: what is left of a person who was erased, and what can't bring them back."""

import json

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from capi.delivery import sweep
from capi.linkedin.identity import email_sha256
from capi.models import Attempt, ConversionEvent
from crm.models import AuditEntry, CrmEvent, Deal, Lead, LeadStatus, Note, User
from crm.services.editing import change_status
from crm.services.erasure import erase_lead
from tests.capi.conftest import received, send_all
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

CANARIES = {
    "first_name": "Zsofia", "last_name": "Quistgaard", "email": "zsofia@quistgaard.example", "phone": "+31 6 5550 1234",
    "organisation": "Quistgaard Mills", "title": "Head of Looms", "source": "Fair in Ghent", "notes": "Plays the oboe",
}  # fmt: skip


@pytest.fixture
def person(company, connected, make_rule, sandbox):
    """A lead with a deal, a sent event, a rejected one and a pending one, also in the log of the operator's admin."""
    make_rule()
    make_rule("deal_created", linkedin_id="422422")
    make_rule("lead_qualified")
    lead = make_lead(company, **CANARIES)
    deal = make_deal(lead, title="Looms for Quistgaard")
    Note.objects.create(
        company=company,
        lead=lead,
        deal=deal,
        text="Zsofia Quistgaard called about her Looms",
    )
    send_all(company)
    change_status(
        leads=Lead.objects.all(),
        status=LeadStatus.objects.get(company=company, name="Qualified"),
    )
    operator = User.objects.create(
        username="operator@example.com", email="operator@example.com", is_staff=True
    )
    LogEntry.objects.log_actions(
        operator.pk, [lead, deal], CHANGE, change_message="Quistgaard"
    )
    return lead


def events():
    return list(
        ConversionEvent.objects.order_by("pk").values_list(
            "state", "reason", "lead", "message"
        )
    )


@pytest.mark.covers("S37")
def test_nothing_of_the_person_is_left_in_a_dump(person, admin, tmp_path):
    dump = tmp_path / "dump.json"
    digest = email_sha256(CANARIES["email"])
    call_command("dumpdata", output=str(dump))
    blocks = b"".join(
        bytes(block) for block in Attempt.objects.values_list("sent_hashes", flat=True)
    )
    assert all(json.dumps(text)[1:-1] in dump.read_text() for text in CANARIES.values())
    assert bytes.fromhex(digest) in blocks

    erase_lead(lead=person, user=admin.user)

    call_command("dumpdata", output=str(dump))
    text = dump.read_text()
    blocks = b"".join(
        bytes(block) for block in Attempt.objects.values_list("sent_hashes", flat=True)
    )
    assert [
        canary
        for canary in (*CANARIES.values(), "Quistgaard", "Looms", digest)
        if canary in text
    ] == []
    assert bytes.fromhex(digest) not in blocks


def test_nothing_of_the_person_is_left_in_any_column(person, admin):
    """Not even in columns that are no fields of models, such as the text that a search compares."""
    names = (*CANARIES.values(), "Quistgaard", "Looms")
    assert set(found_anywhere(names)) >= {"crm_lead", "crm_deal", "crm_note"}

    erase_lead(lead=person, user=admin.user)

    assert found_anywhere(names) == {}


def found_anywhere(names):
    """The tables that have one of the names in a row, with the names."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows = str(cursor.fetchall()).lower()
            if here := [name for name in names if name.lower() in rows]:
                found[table] = here
    return found


def test_the_sandbox_forgets_the_person_as_well(person, sandbox, settings):
    settings.LINKEDIN_SANDBOX_LEDGER = sandbox.ledger.path
    digest = email_sha256(CANARIES["email"])
    assert digest in sandbox.ledger.path.read_text()

    erase_lead(lead=person)

    assert digest not in sandbox.ledger.path.read_text()
    assert "Quistgaard" not in sandbox.ledger.path.read_text()


def test_a_tombstone_and_the_figures_stay(person, company):
    before = list(
        CrmEvent.objects.order_by("pk").values_list("kind", "lead", "deal", "amount")
    )

    erase_lead(lead=person)

    left = Lead.objects.get()
    deal = Deal.objects.get()
    assert (left.pk, left.name, left.share_with_ad_platforms) == (
        person.pk,
        f"Erased lead {person.pk}",
        False,
    )
    assert (deal.title, str(deal.amount), deal.lead) == (
        f"Deal {deal.pk}",
        "1250.00",
        left,
    )
    assert (
        list(
            CrmEvent.objects.order_by("pk").values_list(
                "kind", "lead", "deal", "amount"
            )
        )
        == before
    )


def test_open_events_are_cancelled_and_the_outcome_of_others_stays(
    person, company, sandbox
):
    sent = received(sandbox)

    erase_lead(lead=person)
    send_all(company)
    sweep.tidy()

    assert events() == [
        ("accepted", "", None, ""),
        ("rejected", "data_refused", None, ""),
        ("cancelled", "erased", None, ""),
    ]
    assert received(sandbox) == sent


def test_the_receipt_holds_numbers_only(person, company, admin):
    deal = Deal.objects.get()

    receipt = erase_lead(lead=person, user=admin.user)

    assert (receipt.action, receipt.actor_name, receipt.object_label) == (
        "erasure", "Admin Jansen", f"Lead {person.pk}",
    )  # fmt: skip
    assert receipt.details == {"deals": [deal.pk]}


def test_doing_it_again_is_harmless(person):
    erase_lead(lead=person)
    erased_at = Lead.objects.get().erased_at

    again = erase_lead(lead=person)

    assert again is None
    assert Lead.objects.get().erased_at == erased_at
    assert AuditEntry.objects.filter(action="erasure").count() == 1


def test_a_form_that_was_open_meanwhile_does_not_bring_them_back(person):
    stale = Lead.objects.get()
    erase_lead(lead=person)

    with pytest.raises(IntegrityError), transaction.atomic():
        stale.save()

    left = Lead.objects.get()
    assert left.erased_at is not None
    assert {getattr(left, name) for name in CANARIES} == {""}


@pytest.mark.parametrize(
    "changes",
    [
        {"notes": "Zsofia"},
        {"email": "z@example.com"},
        {"share_with_ad_platforms": True},
    ],
)
def test_the_database_refuses_to_write_anything_personal_into_a_tombstone(
    person, changes
):
    erase_lead(lead=person)

    with pytest.raises(IntegrityError), transaction.atomic():
        Lead.objects.update(**changes)


def test_it_can_not_be_part_of_a_larger_transaction(person):
    with pytest.raises(RuntimeError), transaction.atomic():
        erase_lead(lead=person)

    assert Lead.objects.get().first_name == "Zsofia"


def test_others_are_left_alone(person, company, other_company):
    grace = make_lead(company, first_name="Grace", email="grace@example.com")
    theirs = make_lead(other_company, **CANARIES)

    erase_lead(lead=person)

    grace.refresh_from_db()
    theirs.refresh_from_db()
    assert (grace.email, theirs.email) == ("grace@example.com", CANARIES["email"])
    assert ConversionEvent.objects.get(lead=grace).state == "pending"
