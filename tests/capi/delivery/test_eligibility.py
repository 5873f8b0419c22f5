"""Between planning and sending much may change; the event is checked again at the last moment."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from capi import services
from capi.delivery import pauses, selection
from capi.delivery.selection import EligibilityCheck, Row
from capi.linkedin.payload import Conversion
from capi.models import Connection, ConversionEvent, ConversionRule
from crm.models import Lead, Stage
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import TOKEN, make_deal, make_lead
from tests.privacy.test_opt_out import once

pytestmark = pytest.mark.django_db(transaction=True)


def delete_lead(event: ConversionEvent) -> None:
    event.lead.delete()


def delete_deal(event: ConversionEvent) -> None:
    event.deal.delete()


def switch_rule_off(event: ConversionEvent) -> None:
    ConversionRule.objects.update(is_active=False)


def delete_rule(event: ConversionEvent) -> None:
    ConversionRule.objects.all().delete()


def opt_out_unheard(event: ConversionEvent) -> None:
    QuerySet(Lead).update(share_with_ad_platforms=False)


def lose_address_unheard(event: ConversionEvent) -> None:
    QuerySet(Lead).update(email="")


def grow_old(event: ConversionEvent) -> None:
    ConversionEvent.objects.update(
        happened_at=timezone.now() - timedelta(days=90, seconds=1)
    )


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        (delete_lead, "cancelled", "lead_deleted"),
        (delete_deal, "cancelled", "deal_deleted"),
        (switch_rule_off, "cancelled", "rule_inactive"),
        (delete_rule, "cancelled", "rule_deleted"),
        (opt_out_unheard, "skipped", "opted_out"),
        (lose_address_unheard, "waiting", "no_email"),
        (grow_old, "expired", "too_old"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_changed_meanwhile_decides(
    change, state, reason, company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_won")
    deal = make_deal(make_lead(company))
    deal.stage = company.stage_set.get(meaning="won")
    deal.save()

    change(ConversionEvent.objects.get())
    send_all(company)

    event = ConversionEvent.objects.get()
    assert (event.state, event.reason, event.attempts) == (state, reason, 0)
    assert (event.once_key is None) == (state != "waiting")
    assert requests_made(sandbox) == []


def test_an_event_of_89_days_and_23_hours_is_sent(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    ConversionEvent.objects.update(
        happened_at=timezone.now() - timedelta(days=89, hours=23)
    )

    send_all(company)

    assert ConversionEvent.objects.get().state == "accepted"


def test_an_event_from_the_future_waits_for_its_time(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    ConversionEvent.objects.update(happened_at=timezone.now() + timedelta(minutes=1))

    send_all(company)

    assert ConversionEvent.objects.get().state == "pending"
    assert requests_made(sandbox) == []


def test_the_address_and_the_rule_are_those_of_the_moment_of_sending(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule()
    lead = make_lead(company, email="old@example.com")
    Lead.objects.filter(pk=lead.pk).update(email="test@example.com")
    ConversionRule.objects.filter(pk=rule.pk).update(linkedin_id="104099")

    send_all(company)

    [element] = received(sandbox)
    assert element["conversion"] == "urn:lla:llaPartnerConversion:104099"
    assert element["user"]["userIds"][0]["idValue"].startswith("973dfe463ec85785")


def test_one_event_that_cannot_be_built_does_not_take_the_others_with_it(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    for n in range(3):
        make_lead(company, email=f"{n}@example.com")
    broken = ConversionEvent.objects.order_by("pk")[1]
    ConversionEvent.objects.filter(pk=broken.pk).update(event_id="")

    send_all(company)

    assert list(
        ConversionEvent.objects.order_by("pk").values_list("state", flat=True)
    ) == [
        "accepted",
        "rejected",
        "accepted",
    ]


def test_one_event_whose_building_raises_ends_with_a_plain_reason_and_the_others_go(
    company, connected, sandbox, make_rule, monkeypatch, caplog
) -> None:
    make_rule()
    for n in range(5):
        make_lead(company, email=f"{n}@example.com")
    broken = ConversionEvent.objects.order_by("pk")[2]
    build = EligibilityCheck.conversion

    def build_but_not_that(gate: EligibilityCheck, row: Row, digest: str) -> Conversion:
        if row.pk == broken.pk:
            raise ValueError("This amount can't be written.")
        return build(gate, row, digest)

    monkeypatch.setattr(EligibilityCheck, "conversion", build_but_not_that)
    send_all(company)

    broken.refresh_from_db()
    assert (broken.state, broken.reason) == ("rejected", "data_refused")
    assert (
        broken.message
        == "LeadMachine could not build this event. The operator's log says why."
    )
    assert (
        f"Conversion event {broken.pk} can't be turned into a request." in caplog.text
    )
    assert states(company) == [
        "accepted",
        "accepted",
        "rejected",
        "accepted",
        "accepted",
    ]
    assert requests_made(sandbox) == [200]


@pytest.mark.parametrize("moment", ["-infinity", "0044-03-15 BC"])
def test_a_test_event_of_a_time_that_python_does_not_know_ends_and_holds_no_lane_up(
    moment, company, connected, sandbox, make_rule
) -> None:
    test_event = services.send_test_event(rule=make_rule())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE capi_conversionevent SET happened_at = %s WHERE id = %s",
            [moment, test_event.pk],
        )
    make_lead(company)

    send_all(company)

    assert states(company) == ["rejected", "accepted"]


@pytest.mark.parametrize(
    ("send_value", "sent"),
    [(True, {"currencyCode": "JPY", "amount": "0.00"}), (False, None)],
)
def test_a_value_is_sent_where_the_rule_says_so(
    send_value, sent, company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_created", send_value=send_value)
    make_deal(make_lead(company), amount="0", currency="JPY")

    send_all(company)

    assert received(sandbox)[0].get("conversionValue") == sent


def test_a_deal_without_an_amount_goes_without_a_value(
    company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_created")
    make_deal(make_lead(company), amount=None)

    send_all(company)

    assert "conversionValue" not in received(sandbox)[0]


def test_a_lost_deal_has_no_value_although_the_rule_was_saved_with_one(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule("deal_lost", send_value=True)
    make_deal(
        make_lead(company), stage=Stage.objects.for_company(company).get(meaning="lost")
    )

    send_all(company)

    assert [element.get("conversionValue") for element in received(sandbox)] == [None]
    assert not rule.sends_value


def test_a_lead_event_never_has_a_value(company, connected, sandbox, make_rule) -> None:
    make_rule("lead_created", send_value=True)
    make_lead(company)

    send_all(company)

    assert sorted(received(sandbox)[0]) == [
        "conversion",
        "conversionHappenedAt",
        "eventId",
        "user",
    ]


def test_a_token_that_is_saved_after_the_batch_was_read_is_the_one_that_is_used(
    company, sandbox, make_rule, monkeypatch
) -> None:
    services.save_token(company=company, token="AQV-this-one-is-revoked")
    make_rule()
    make_lead(company)
    once(
        monkeypatch,
        selection,
        "next_batch",
        lambda: services.save_token(company=company, token=TOKEN),
    )

    send_all(company)

    assert (requests_made(sandbox), states(company)) == ([201], ["accepted"])


def test_a_pause_that_begins_after_the_batch_was_read_stops_it(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    once(
        monkeypatch,
        selection,
        "next_batch",
        lambda: pauses.pause_all_for_version("202402"),
    )

    send_all(company)

    assert (requests_made(sandbox), states(company)) == ([], ["pending"])
    assert Connection.objects.get().request_started_at is None


def test_a_token_that_is_removed_after_the_batch_was_read_sends_nothing(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    once(
        monkeypatch,
        selection,
        "next_batch",
        lambda: services.remove_token(company=company),
    )

    send_all(company)

    assert (requests_made(sandbox), states(company)) == ([], ["pending"])
