"""The main job: from a changed lead to an accepted conversion, and nothing else about the person on the wire."""

import pytest

from capi.models import ConversionEvent
from crm.models import Company, Deal, Lead, LeadStatus, Stage
from tests.capi.conftest import *  # noqa: F403 - the fixtures of a connected company
from tests.capi.conftest import received, send_all
from tests.conftest import make_deal, make_lead

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ADA = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"  # test@example.com, linkedin-capi section 3


def test_a_qualified_lead_and_a_won_deal_reach_linkedin(company, connected, sandbox, make_rule) -> None:
    make_rule("lead_qualified", "104012")
    make_rule("deal_won", "104013")
    lead = make_lead(
        company, first_name="Ada", last_name="Lovelace", email="Test@Example.COM", phone="+44 20 7946 0000",
        organisation="Analytical Engines",
    )  # fmt: skip
    deal = make_deal(lead, amount="1250.00", currency="EUR")

    Lead.objects.filter(pk=lead.pk).update(status=LeadStatus.objects.get(company=company, meaning="qualified"))
    deal.stage = Stage.objects.get(company=company, meaning="won")
    deal.save()
    send_all(company)

    qualified, won = ConversionEvent.objects.order_by("pk")
    assert (qualified.state, qualified.http_status, qualified.attempts) == ("accepted", 201, 1)
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
    for secret in ("ada", "lovelace", "7946", "analytical", "test@example.com", "forty"):
        assert secret not in wire


def test_without_a_token_saving_goes_on_and_the_event_waits_for_one(company: Company, make_rule) -> None:
    make_rule("lead_created")

    make_lead(company)

    assert ConversionEvent.objects.get().state == "pending"
    assert not Deal.objects.exists()
