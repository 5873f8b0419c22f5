"""The main job: from a changed lead to an accepted conversion, and nothing else about the person on the wire."""

import json
from urllib.parse import quote, quote_plus

import pytest

from capi.models import ConversionEvent
from capi.services.rules import send_test_event
from crm.models import Company, Deal, Lead, LeadStatus, Stage
from tests.capi.conftest import received, requests_made, send_all
from tests.conftest import make_deal, make_lead
from tests.faults.proxy import RecordingProxy

pytestmark = pytest.mark.django_db(transaction=True)

# Of test@example.com.
ADA = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"


def test_a_qualified_lead_and_a_won_deal_reach_linkedin(
    company, connected, sandbox, make_rule
) -> None:
    make_rule("lead_qualified", "104012")
    make_rule("deal_won", "104013")
    lead = make_lead(
        company, first_name="Augusta", last_name="Lovelace", email="Test@Example.COM", phone="+44 20 7946 0000",
        organisation="Analytical Engines",
    )  # fmt: skip
    deal = make_deal(lead, amount="1250.00", currency="EUR")

    Lead.objects.filter(pk=lead.pk).update(
        status=LeadStatus.objects.get(company=company, meaning="qualified")
    )
    deal.stage = Stage.objects.get(company=company, meaning="won")
    deal.save()
    send_all(company)

    qualified, won = ConversionEvent.objects.order_by("pk")
    assert (qualified.state, qualified.http_status, qualified.attempts) == (
        "accepted",
        201,
        1,
    )
    assert (won.state, won.http_status, won.attempts) == ("accepted", 201, 1)
    user = {"userIds": [{"idType": "SHA256_EMAIL", "idValue": ADA}]}
    assert received(sandbox) == [
        {
            "conversion": "urn:lla:llaPartnerConversion:104012",
            "conversionHappenedAt": int(qualified.happened_at.timestamp() * 1000),
            "eventId": qualified.event_id,
            "user": user,
        },
        {
            "conversion": "urn:lla:llaPartnerConversion:104013",
            "conversionHappenedAt": int(won.happened_at.timestamp() * 1000),
            "conversionValue": {"currencyCode": "EUR", "amount": "1250.00"},
            "eventId": won.event_id,
            "user": user,
        },
    ]
    wire = sandbox.ledger.path.read_text().lower()
    # None of these can appear by chance in hex digits or the digits of a time.
    for secret in (
        "augusta",
        "lovelace",
        "20 7946",
        "analytical",
        "test@example.com",
        "forty",
    ):
        assert secret not in wire


TRACES = (
    "zsófi", "vörösmarty", "test@example.com", "example.com", "555 0142", "3615550142", "quiet", "harbour",
    "purchaser", "trade", "sailing", "forty", "licences",
)  # fmt: skip


@pytest.fixture
def line(connected, sandbox, settings):
    """A proxy that LINKEDIN_API_URL points at. It records each byte on its way to the stand-in."""
    line = RecordingProxy((sandbox.host, sandbox.port))
    settings.LINKEDIN_API_URL = f"http://127.0.0.1:{line.port}"
    yield line
    line.down()


def test_no_byte_about_the_person_but_the_hash_is_in_any_request(
    company, sales, line, sandbox, make_rule, client_as
) -> None:
    person = {
        "first_name": "Zsófi", "last_name": "Vörösmarty", "email": " Test@Example.COM ", "phone": "+36 1 555 0142",
        "organisation": "Quiet Harbour Kft", "title": "Purchaser", "source": "Trade fair", "notes": "Likes sailing",
    }  # fmt: skip
    created, qualified = (
        make_rule("lead_created"),
        make_rule("lead_qualified", "104013"),
    )
    make_rule("deal_won", "104014")
    new, good = (
        LeadStatus.objects.get(company=company, meaning=meaning)
        for meaning in ("new", "qualified")
    )

    # One alone, one of the test events, and a batch of two.
    form = {
        **person,
        "type": "inbound",
        "status": new.pk,
        "share_with_ad_platforms": "on",
    }
    client_as(sales).post("/leads/new/", form)
    send_all(company)
    send_test_event(rule=created)
    make_deal(
        make_lead(company, **person),
        title="Forty licences",
        stage=Stage.objects.get(meaning="won"),
    )
    Lead.objects.update(status=good)
    send_all(company)

    assert list(Lead.objects.order_by("pk").values_list("email", flat=True)) == [
        "Test@Example.COM",
        person["email"],
    ]
    real = ConversionEvent.objects.filter(is_test=False)
    assert [*real.values_list("state", flat=True)] == ["accepted"] * 5
    assert [*qualified.events.values_list("state", flat=True)] == ["accepted"] * 2
    hashes = [element["user"]["userIds"][0]["idValue"] for element in received(sandbox)]
    assert hashes.count(ADA) == 5
    asked = bytes(line.asked).lower()
    assert asked.count(ADA.encode()) == 5
    assert asked.count(b"post /rest/conversionevents http/1.1\r\n") == len(
        requests_made(sandbox)
    )
    assert [
        trace for trace in TRACES for form in forms_of(trace) if form in asked
    ] == []


def forms_of(trace: str) -> set[bytes]:
    """How it could look in a request, in lower case: plain, escaped in JSON, or quoted as in a URL."""
    return {
        form.lower().encode()
        for form in (trace, json.dumps(trace)[1:-1], quote(trace), quote_plus(trace))
    }


def test_without_a_token_saving_goes_on_and_the_event_waits_for_one(
    company: Company, make_rule
) -> None:
    make_rule("lead_created")

    make_lead(company)

    assert ConversionEvent.objects.get().state == "pending"
    assert not Deal.objects.exists()
