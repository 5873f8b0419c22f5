"""The outcome of a lead or deal at LinkedIn: a sentence at the top of its page, and a column of the lists."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import dateformat, timezone

from capi import services
from capi.models import ConversionEvent
from crm.models import CrmEvent, Deal, LeadStatus, Stage
from crm.selectors import timeline
from crm.services.erasure import erase_lead
from tests.capi.counted import record
from tests.conftest import TOKEN, make_deal, make_lead
from tests.housekeeping import keep_house

pytestmark = pytest.mark.django_db

NO_RULE = "No active rule at the time: not sent to LinkedIn"
LOG_GONE = "More than 180 days ago: its log is no longer kept"
TOGGLE = "/outcomes-column/"


def sent(lead) -> str:
    """Accept all pending events of the lead now. Returns the moment as a page shows it."""
    now = timezone.now()
    ConversionEvent.objects.filter(lead=lead, state="pending").update(
        state="accepted", settled_at=now
    )
    return dateformat.format(timezone.localtime(now), "j M, H:i")


def long_ago(lead, days: int) -> None:
    """Date the lead's CRM events and their outcomes back to so many days ago, and prune the log."""
    moment = timezone.now() - timedelta(days=days)
    CrmEvent.objects.filter(lead=lead).update(occurred_at=moment)
    ConversionEvent.objects.filter(lead=lead).update(
        created_at=moment, settled_at=moment
    )
    keep_house()


def qualify(lead) -> None:
    lead.status = LeadStatus.objects.get(
        company_id=lead.company_id, meaning="qualified"
    )
    lead.save()


def text_of(page) -> str | None:
    outcome = page.context["timeline"].outcome
    return outcome.text if outcome else None


def column(page) -> dict[str, str]:
    """What the column says, by lead or deal."""
    return {str(row): note.text for row, note, *_ in page.context["rows"] if note}


def test_a_sent_lead_says_when_and_by_which_rule(
    client_as, sales, company, make_rule
) -> None:
    make_rule("lead_qualified", name="Qualified lead")
    lead = make_lead(company)
    qualify(lead)
    moment = sent(lead)

    page = client_as(sales).get(lead.get_absolute_url())

    assert text_of(page) == f"Sent to LinkedIn {moment} (Qualified lead)"
    assert (
        f'<span class="badge good">Sent to LinkedIn {moment} (Qualified lead)</span>'
        in (page.content.decode())
    )


def test_a_lead_without_an_address_says_what_it_waits_for_and_leads_there(
    client_as, sales, company, make_rule
) -> None:
    make_rule(name="New lead")
    lead = make_lead(company, email="")

    page = client_as(sales).get(lead.get_absolute_url())

    assert text_of(page) == "Waiting for an e-mail (New lead)"
    # Above, and in the timeline.
    assert page.content.decode().count("Enter an address</a>") == 2


def test_a_lead_that_no_rule_was_for_says_so(client_as, sales, company) -> None:
    lead = make_lead(company)

    assert text_of(client_as(sales).get(lead.get_absolute_url())) == NO_RULE


def test_what_no_rule_was_for_hides_nothing_that_was_sent_before(
    client_as, sales, company, make_rule
) -> None:
    make_rule("lead_created", name="New lead")
    lead = make_lead(company)
    moment = sent(lead)
    qualify(lead)

    assert (
        text_of(client_as(sales).get(lead.get_absolute_url()))
        == f"Sent to LinkedIn {moment} (New lead)"
    )


def test_a_second_event_that_was_not_counted_hides_not_the_first(
    client_as, sales, company, make_rule
) -> None:
    make_rule("lead_qualified", name="Qualified lead")
    lead = make_lead(company)
    qualify(lead)
    moment = sent(lead)
    lead.status = LeadStatus.objects.get(company=company, meaning="new")
    lead.save()
    qualify(lead)

    page = client_as(sales).get(lead.get_absolute_url())
    outcome = timeline.outcomes_of_leads([lead])[lead.pk]

    assert (
        text_of(page) == outcome.text == f"Sent to LinkedIn {moment} (Qualified lead)"
    )


def test_of_two_rules_the_trouble_is_told(client_as, ops, company, make_rule) -> None:
    make_rule("lead_created", "104011", name="Good")
    bad = make_rule("lead_created", "104012", name="Bad")
    lead = make_lead(company)
    ConversionEvent.objects.filter(rule=bad).update(
        state="rejected", reason="data_refused"
    )
    sent(lead)

    page = client_as(ops).get(lead.get_absolute_url())

    assert page.context["timeline"].outcome.tone == "bad"
    assert text_of(page).startswith("Rejected (Bad)")


def test_a_deals_page_tells_of_the_deal_alone(
    client_as, sales, company, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule("lead_created", "104011", name="New lead")
    make_rule("deal_won", "104012", name="Purchase")
    lead = make_lead(company)
    deal = make_deal(lead, stage=Stage.objects.get(company=company, meaning="won"))
    other = make_deal(lead, title="Ten licences")
    web = client_as(sales)

    assert text_of(web.get(deal.get_absolute_url())).startswith("Queued (Purchase)")
    assert text_of(web.get(other.get_absolute_url())) == NO_RULE


def test_the_sentence_leads_into_the_log_for_those_alone_who_may_see_it(
    client_as, admin, ops, sales, company, make_rule
) -> None:
    make_rule()
    lead = make_lead(company)
    address = f'href="{ConversionEvent.objects.get().get_absolute_url()}"'
    webs = [client_as(member) for member in (admin, ops, sales)]
    for web in webs:
        web.post(TOGGLE, {"shown": "1"})

    pages = [
        [
            web.get(path).content.decode()
            for path in (lead.get_absolute_url(), "/leads/")
        ]
        for web in webs
    ]

    assert [[page.count(address) for page in both] for both in pages] == [
        [2, 1],
        [2, 1],
        [0, 0],
    ]


def test_an_erased_lead_says_what_became_of_its_events_and_not_who_it_was(
    client_as, admin, company, make_rule
) -> None:
    make_rule(name="New lead")
    lead = make_lead(company, first_name="Grace")
    erase_lead(lead=lead, user=None)

    page = client_as(admin).get(lead.get_absolute_url())

    assert (
        text_of(page)
        == "Cancelled (New lead): The person was erased before the event was sent."
    )
    assert "Grace" not in page.content.decode()


def test_the_column_is_not_there_until_it_is_chosen_and_then_stays_with_the_person(
    client_as, sales, ops, company, make_rule
) -> None:
    make_rule(name="New lead")
    make_lead(company, email="")
    before = client_as(sales).get("/leads/")

    back = client_as(sales).post(TOGGLE, {"shown": "1", "next": "/leads/?sort=name"})
    after, of_another = client_as(sales).get("/leads/"), client_as(ops).get("/leads/")
    client_as(sales).post(TOGGLE, {"shown": "0"})
    again = client_as(sales).get("/leads/")

    assert back["Location"] == "/leads/?sort=name"
    assert [column(page) for page in (before, after, of_another, again)] == [
        {}, {"Ada": "Waiting for an e-mail (New lead)"}, {}, {},
    ]  # fmt: skip
    heads = [
        ">LinkedIn</th>" in page.content.decode()
        for page in (before, after, of_another, again)
    ]
    assert heads == [False, True, False, False]


def test_the_choice_is_made_by_no_link(client_as, sales) -> None:
    assert client_as(sales).get(TOGGLE).status_code == 302


def test_the_list_of_deals_has_the_column_too(
    client_as, sales, company, make_rule
) -> None:
    make_rule("deal_created", name="Key page view")
    lead = make_lead(company, email="")
    make_deal(lead, title="Forty licences")
    stage = Deal.objects.get().stage
    web = client_as(sales)
    web.post(TOGGLE, {"shown": "1"})

    page = web.get("/deals/list/", {"stage": stage.pk})

    assert column(page) == {"Forty licences": "Waiting for an e-mail (Key page view)"}
    assert "Waiting for an e-mail (Key page view)" in page.content.decode()


def test_the_column_tells_of_the_company_alone(
    client_as, sales, company, other_company, make_rule
) -> None:
    make_rule(name="Ours")
    make_rule(company=other_company, name="Theirs")
    make_lead(company, email="")
    make_lead(other_company, email="")
    web = client_as(sales)
    web.post(TOGGLE, {"shown": "1"})

    page = web.get("/leads/")

    assert column(page) == {"Ada": "Waiting for an e-mail (Ours)"}
    assert "Theirs" not in page.content.decode()


def test_the_column_costs_two_queries_however_many_leads(
    client_as, sales, company, make_rule
) -> None:
    make_rule(name="New lead")
    web = client_as(sales)
    counts = []
    for leads in (1, 20):
        for _ in range(leads):
            qualify(make_lead(company))
        for shown in ("0", "1"):
            web.post(TOGGLE, {"shown": shown})
            with CaptureQueriesContext(connection) as queries:
                web.get("/leads/")
            counts.append(len(queries))

    assert counts[1] - counts[0] == 2
    assert counts[2:] == counts[:2]


def test_an_event_that_crm_knows_nothing_of_is_no_outcome(
    client_as, sales, company, make_rule
) -> None:
    lead = make_lead(company)
    record(make_rule(), "accepted", lead=lead)

    assert text_of(client_as(sales).get(lead.get_absolute_url())) == NO_RULE


def test_what_was_sent_so_long_ago_that_its_log_is_gone_is_not_denied(
    client_as, sales, company, make_rule
) -> None:
    make_rule("deal_created", name="Key page view")
    deal = make_deal(make_lead(company), title="Forty licences")
    sent(deal.lead)
    long_ago(deal.lead, days=181)
    web = client_as(sales)
    web.post(TOGGLE, {"shown": "1"})

    pages = [web.get(row.get_absolute_url()) for row in (deal.lead, deal)]
    lists = [web.get("/leads/"), web.get("/deals/list/", {"stage": deal.stage_id})]

    assert not ConversionEvent.objects.exists()
    for page in pages:
        assert page.context["timeline"].outcome.tone == "plain"
        told = [
            note.text
            for entry in page.context["timeline"].entries
            for note in entry.outcomes
        ]
        assert {text_of(page), *told} == {LOG_GONE}
        assert NO_RULE not in page.content.decode()
    assert [column(page) for page in lists] == [
        {"Ada": LOG_GONE},
        {"Forty licences": LOG_GONE},
    ]


def test_what_no_rule_was_for_hides_nothing_whose_log_is_gone(
    client_as, sales, company, make_rule
) -> None:
    make_rule("lead_created")
    lead = make_lead(company)
    sent(lead)
    long_ago(lead, days=181)
    qualify(lead)

    page = client_as(sales).get(lead.get_absolute_url())

    assert [entry.outcomes[0].text for entry in page.context["timeline"].entries] == [
        NO_RULE,
        LOG_GONE,
    ]
    assert text_of(page) == LOG_GONE


def test_within_the_retention_period_it_is_known_that_there_was_no_rule(
    client_as, sales, company, settings
) -> None:
    settings.RETENTION_DAYS = 1
    young, old = make_lead(company), make_lead(company)
    CrmEvent.objects.filter(lead=young).update(
        occurred_at=timezone.now() - timedelta(hours=23)
    )
    CrmEvent.objects.filter(lead=old).update(
        occurred_at=timezone.now() - timedelta(hours=25)
    )

    pages = [client_as(sales).get(lead.get_absolute_url()) for lead in (young, old)]

    assert [text_of(page) for page in pages] == [
        NO_RULE,
        "More than 1 day ago: its log is no longer kept",
    ]
