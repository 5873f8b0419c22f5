"""What becomes a lead, what updates one, and what doesn't."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from crm.models import CrmEvent, Lead, Note, Payload
from crm.services import payloads
from crm.services.erasure import erase_lead
from crm.services.payloads import process_payloads
from tests.conftest import make_lead
from tests.crm.intake.conftest import Sender

pytestmark = pytest.mark.django_db

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
FORM = "application/x-www-form-urlencoded"


def outcomes():
    return [*Payload.objects.order_by("pk").values_list("outcome", flat=True)]


def test_a_lead_is_added_with_its_event(sender, admin):
    sender.source.owner = admin.user
    sender.source.save()
    sender.sent({"contact": ADA, "phone": "+31 20 123 4567", "company": "Engines"})

    lead = Lead.objects.get()
    assert (lead.name, lead.email, lead.phone) == (
        "Ada Lovelace",
        "ada@example.com",
        "+31 20 123 4567",
    )
    assert (lead.organisation, lead.source) == ("Engines", "Contact form")
    assert (lead.owner, lead.share_with_ad_platforms) == (admin.user, False)
    assert [each.kind for each in CrmEvent.objects.all()] == ["lead_created"]
    assert Payload.objects.get().made_id == lead.pk


@pytest.mark.parametrize(
    ("consent", "default", "shared"),
    [(None, False, False), (None, True, True), ("yes", False, True), ("no", True, False), ("perhaps", True, False)],
)  # fmt: skip
def test_consent(sender, consent, default, shared):
    sender.source.shares_without_consent = default
    sender.source.save()

    sender.sent(ADA | ({"consent": consent} if consent else {}))

    assert Lead.objects.get().share_with_ad_platforms is shared


def test_a_message_is_a_note(sender):
    sender.sent("email=ada@example.com&message=Call+me", FORM)

    assert Note.objects.get().text == "Call me"


def test_a_known_lead_gets_what_is_missing(sender, company):
    lead = make_lead(company, first_name="Ada", phone="", organisation="Own")

    sender.sent(
        {
            "name": "A. L.",
            "email": "ADA@example.com",
            "phone": "+31201234567",
            "company": "Other",
            "message": "Hi",
        }
    )

    lead.refresh_from_db()
    assert (lead.phone, lead.organisation, lead.first_name) == (
        "+31201234567",
        "Own",
        "Ada",
    )
    assert (lead.last_name, Note.objects.get().lead) == ("", lead)
    assert (Lead.objects.count(), CrmEvent.objects.count()) == (1, 1)
    assert outcomes() == ["updated"]


def test_an_opt_out_is_never_taken_back(sender, company):
    lead = make_lead(company, share_with_ad_platforms=False)

    sender.sent(ADA | {"consent": "yes"})

    lead.refresh_from_db()
    assert not lead.share_with_ad_platforms


def test_a_merged_lead_updates_the_one_that_was_kept(sender, company):
    kept = make_lead(company, first_name="Kept", email="kept@example.com", phone="")
    make_lead(company, email="ada@example.com", merged_into=kept)

    sender.sent(ADA | {"phone": "+31201234567"})

    kept.refresh_from_db()
    assert (kept.phone, outcomes()) == ("+31201234567", ["updated"])


def test_another_companys_lead_is_not_touched(sender, other_company):
    make_lead(other_company)

    sender.sent(ADA)

    assert (Lead.objects.count(), outcomes()) == (2, ["added"])


def test_the_same_twenty_times_is_one_lead(sender):
    for _ in range(20):
        sender.send(ADA)
    process_payloads(lambda: True)

    assert (Lead.objects.count(), CrmEvent.objects.count()) == (1, 1)
    assert outcomes() == ["added"] + ["repeated"] * 19


def test_the_same_id_with_another_body_is_another_payload(sender):
    sender.sent(ADA, **{"Idempotency-Key": "1"})
    sender.sent(ADA | {"phone": "+31201234567"}, **{"Idempotency-Key": "1"})
    sender.sent(ADA, **{"Idempotency-Key": "1"})
    sender.sent(ADA, **{"webhook-id": "1"})

    assert outcomes() == ["added", "updated", "repeated", "updated"]
    assert Lead.objects.get().phone == "+31201234567"


def test_a_day_later_it_counts_again(sender):
    sender.sent(ADA)
    Payload.objects.update(received_at=F("received_at") - timedelta(hours=25))
    sender.sent(ADA)

    assert outcomes() == ["added", "updated"]


def test_fifty_of_one_address_are_one_lead(sender):
    for number in range(50):
        sender.send(ADA, **{"Idempotency-Key": str(number)})
    process_payloads(lambda: True)

    assert (Lead.objects.count(), CrmEvent.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "fields",
    [{"name": "Ada"}, {"email": "no address", "name": "Ada"}, {"id": "1234567"}],
)
def test_no_one_to_reach_is_refused(sender, fields):
    sender.sent(fields)

    payload = Payload.objects.get()
    assert (payload.outcome, payload.reason) == ("refused", "no_contact")
    assert not Lead.objects.exists()


def test_an_invalid_address_with_a_phone_number(sender):
    sender.sent({"name": "Ada", "email": "no address", "phone": "+31 20 123 4567"})

    assert [(lead.email, lead.phone) for lead in Lead.objects.all()] == [
        ("", "+31 20 123 4567")
    ]


def test_a_number_alone_finds_no_one(sender, company):
    known = make_lead(company, email="ada@example.com", phone="")

    sender.sent({"phone": "n/a", "message": "hi"})
    sender.sent({"phone": "+31 20 123 4567"})

    known.refresh_from_db()
    assert (known.phone, Note.objects.count()) == ("", 0)
    assert outcomes() == ["refused", "added"]


@pytest.mark.parametrize(
    ("known", "sent", "outcome"),
    [
        ("+31 20 123 4567", "020-1234567", "updated"),
        ("0031201234567", "+31201234567", "updated"),
        ("020 123 4567", "+31201234567", "updated"),
        ("+31 20 123 4567", "+31201234568", "added"),
        ("12345678", "12 34 56 78", "updated"),
        ("+47 12345678", "12 34 56 78", "added"),
    ],
)
def test_a_number_that_a_lead_has_is_known(sender, company, known, sent, outcome):
    lead = make_lead(company, email="ada@example.com", phone=known)

    sender.sent({"phone": sent, "message": "Call me"})

    assert outcomes() == [outcome]
    assert (Note.objects.get().lead == lead) is (outcome == "updated")


@pytest.mark.parametrize(
    ("known", "sent"),
    [
        ("ada@müller.example", "ada@xn--mller-kva.example"),
        ("ada@xn--mller-kva.example", "Ada@MÜLLER.example"),
    ],
)
def test_a_domain_in_any_spelling_is_known(sender, company, known, sent):
    make_lead(company, email=known)

    sender.sent({"email": sent})

    assert (outcomes(), Lead.objects.count()) == (["updated"], 1)


def test_payloads_are_deleted_with_their_lead(sender):
    sender.sent(ADA)
    sender.sent(ADA)
    sender.sent({"email": "grace@example.com"})

    Lead.objects.get(email="ada@example.com").delete()

    assert b"grace" in bytes(Payload.objects.get().body)


@pytest.mark.parametrize(
    ("fields", "shared"),
    [
        ({"consent": "yes", "opted_out": "yes"}, False),
        ({"friend": {"consent": "yes"}, "consent": "no"}, False),
        ({"consent": ""}, False),
        ({"consent": None}, False),
        ({"marketing_consent": "no"}, False),
        ({"accepts_marketing": "perhaps"}, False),
        ({"newsletter": "yes"}, False),
        ({"agree_to_terms": "on"}, False),
        ({"désinscrit": "yes"}, False),
        ({"consent": "yes", "marketing": "no"}, False),
        ({"consent": "yes", "newsletter": "yes"}, True),
        ({"opted_out": "no", "consent": "yes"}, True),
        ({"city": "Delft"}, True),
    ],
)
def test_only_a_clear_yes_is_consent_where_the_form_asks(sender, fields, shared):
    sender.source.shares_without_consent = True
    sender.source.save()

    sender.sent(ADA | fields)

    assert Lead.objects.get().share_with_ad_platforms is shared


def test_one_that_was_refused_can_be_sent_again(sender):
    sender.sent("x", "text/plain", **{"Idempotency-Key": "1"})
    sender.sent(ADA, **{"Idempotency-Key": "1"})

    assert outcomes() == ["refused", "added"]


def test_spam(sender):
    sender.sent("email=ada@example.com&leave_this_empty=x", FORM)

    assert (outcomes(), Lead.objects.count()) == (["spam"], 0)


def test_one_that_fails_keeps_no_other_waiting(sender, other_company, monkeypatch):
    take_in = payloads.take_in

    def failing(source, fields):
        if fields["email"] == "bob@example.com":
            raise RuntimeError
        return take_in(source, fields)

    monkeypatch.setattr(payloads, "take_in", failing)
    sender.send({"email": "bob@example.com"})
    Sender(other_company).send(ADA)
    sender.sent(ADA)
    found = outcomes()
    monkeypatch.undo()
    Payload.objects.update(try_after=F("received_at"))
    process_payloads(lambda: True)

    assert found == ["", "added", "added"]
    assert outcomes() == ["added", "added", "added"]


def test_a_busy_company_keeps_no_other_waiting(sender, other_company, monkeypatch):
    monkeypatch.setattr(payloads, "TURN_SECONDS", -1)
    for number in range(5):
        sender.send({"email": f"ada{number}@example.com"})
    Sender(other_company).send(ADA)
    rounds = iter([True] * 5)

    assert process_payloads(lambda: next(rounds, False))

    ended = Payload.objects.exclude(ended_at=None)
    assert {*ended.values_list("company", flat=True)} == {
        sender.source.company_id,
        other_company.pk,
    }
    assert not process_payloads(lambda: True)
    assert outcomes() == ["added"] * 6


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"email": "Ada\\u0040example.com", "x": 1}', "application/json"),
        (b"email=other%40example.com&about=ada%40example.com", FORM),
        ('{"email": "ada@example.com"}'.encode("utf-16"), "application/json"),
        (b"[\"ada@example.com\"]", "application/json"),
        (b"ada%40example.com", "text/plain"),
        (b"email=ada%40example.com&email=bob%40example.com", FORM),
        (b"x ada@example.com=", FORM),
        (
            b"--X\r\nContent-Disposition: form-data; name=a\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\nYWRhQGV4YW1wbGUuY29t\r\n--X--",
            "multipart/form-data; boundary=X",
        ),
    ],
)  # fmt: skip
def test_an_erasure_deletes_the_payloads_of_the_person(sender, company, body, kind):
    lead = make_lead(company)
    sender.send(body, kind)
    sender.send({"email": "grace@example.com"})

    erase_lead(lead=lead)

    assert b"grace" in bytes(Payload.objects.get().body)


@pytest.mark.django_db(transaction=True)
def test_an_erasure_reads_the_payloads_before_it_locks_anything(sender, company):
    lead = make_lead(company)
    sender.send({"about": "ada@example.com"})
    sender.send({"email": "grace@example.com"})
    locked = []

    def late(execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if sql.startswith("SELECT") and '"crm_payload"."body"' in sql:
            locked.append(connection.in_atomic_block)
            if len(locked) == 1:
                sender.send({"late": "ada@example.com"})
        return found

    with connection.execute_wrapper(late):
        erase_lead(lead=lead)

    assert locked == [False, True]
    assert b"grace" in bytes(Payload.objects.get().body)


def test_a_colleague_with_the_same_number_is_another_lead(sender, company):
    known = make_lead(company, first_name="Ada", phone="+31 20 123 4567")

    sender.sent({"name": "Bob Jones", "phone": "+31 20 123 4567", "message": "Hello"})

    added = Lead.objects.exclude(pk=known.pk).get()
    assert (added.first_name, Note.objects.get().lead) == ("Bob", added)
