"""The week's reconcile: for each rule, the outcome of every CRM event. The numbers add up, whatever the log holds."""

import random
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason, State
from capi.models.functions import monday_of
from capi.selectors.reconcile import RuleWeek, reconcile
from crm.models import AuditEntry, Company, CrmEvent, Stage
from tests.capi.conftest import send_all
from tests.conftest import TOKEN, make_deal, make_lead

pytestmark = pytest.mark.django_db

PAGE, EXPORT = reverse("reconcile"), reverse("reconcile_export")
MONDAY = monday_of(timezone.localdate()) - timedelta(weeks=1)


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


def happen(
    company, kind: str = "lead_created", *, day: float = 0, monday: date = MONDAY
) -> CrmEvent:
    """A CRM event so many days after the Monday's midnight (UTC), without the conversion events planned for it."""
    moment = datetime(monday.year, monday.month, monday.day, tzinfo=UTC) + timedelta(
        days=day
    )
    return CrmEvent.objects.create(company=company, kind=kind, occurred_at=moment)


def become(rule, state: str, reason: str = "", count: int = 1, **fields) -> None:
    for _ in range(count):
        event = happen(rule.company, rule.crm_event, day=3)
        ConversionEvent.objects.create(
            company=rule.company,
            rule=rule,
            crm_event=event,
            state=state,
            reason=reason,
            **fields,
        )


def told(week: RuleWeek) -> list[tuple[str, int]]:
    return [(line.words.label, line.count) for line in week.lines]


def test_each_way_of_ending_is_a_line_and_all_lines_make_up_the_crm_events(
    company, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN)
    rule = make_rule()
    become(rule, "accepted", count=5)
    become(rule, "pending", "server_trouble", count=2)
    become(rule, "pending")
    become(rule, "waiting", "no_email", count=2)
    become(rule, "rejected", "data_refused")
    become(rule, "exhausted", "timed_out")
    become(rule, "expired", "too_old")
    become(rule, "skipped", "opted_out", count=3)
    become(rule, "skipped", "already_counted")
    become(rule, "cancelled", "erased")
    happen(company, day=0)
    ConversionEvent.objects.create(company=company, rule=rule, is_test=True)

    (week,) = reconcile(company.pk, MONDAY, Connection.objects.get()).rules

    assert week.crm_events == 19
    assert told(week) == [
        ("Sent", 5), ("Queued", 3), ("Waiting", 2), ("Expired", 1), ("Gave up", 1), ("Rejected", 1),
        ("Cancelled", 1), ("Skipped", 3), ("Skipped", 1), ("No rule", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("held_by", ["rule", "connection", "no token"])
def test_what_is_queued_is_on_hold_while_its_rule_or_the_line_is(
    company, make_rule, held_by
) -> None:
    connection = services.save_token(company=company, token=TOKEN)
    rule = make_rule(is_paused=held_by == "rule")
    become(rule, "pending")
    if held_by == "connection":
        connection.is_paused = True

    week = reconcile(company.pk, MONDAY, None if held_by == "no token" else connection)

    assert told(week.rules[0]) == [("On hold", 1)]


def test_a_week_begins_on_monday_at_midnight_by_the_companys_clock(
    company, web, make_rule
) -> None:
    Company.objects.update(time_zone="America/Lima")  # five hours behind all year
    make_rule()
    for day in (4 / 24, 6 / 24, 7 + 4 / 24, 7 + 6 / 24):
        happen(company, day=day)

    week = web.get(PAGE, {"week": MONDAY.isoformat()}).context["week"]

    assert [one.crm_events for one in week.rules] == [2]


def test_numbers_add_up_over_random_data(company, other_company, make_rule) -> None:
    dice = random.Random(20261125)
    services.save_token(company=company, token=TOKEN)
    rules = [
        make_rule(kind, str(number))
        for kind in ("lead_created", "deal_won")
        for number in range(1_000, 1_003)
    ]
    strangers = make_rule(company=other_company)
    events = [
        happen(dice.choice([company, company, other_company]), dice.choice(["lead_created", "deal_won", "deal_lost"]),
               day=dice.uniform(-3, 10))
        for _ in range(300)
    ]  # fmt: skip
    ConversionEvent.objects.bulk_create(
        ConversionEvent(
            company=event.company, rule=rule, crm_event=event, event_id=f"{event.pk}-{rule.pk}",
            state=dice.choice(State.values), reason=dice.choice(Reason.values),
        )
        for event in events
        for rule in [*rules, strangers]
        if rule.company_id == event.company_id and rule.crm_event == event.kind and dice.random() < 0.8
    )  # fmt: skip
    rules[0].delete()
    rules[1].is_paused = True
    rules[1].save()

    for week in (-1, 0, 1):
        monday = MONDAY + timedelta(weeks=week)
        found = reconcile(company.pk, monday, Connection.objects.get())
        span = [
            datetime(day.year, day.month, day.day, tzinfo=UTC)
            for day in (monday, monday + timedelta(weeks=1))
        ]
        for one in found.rules:
            own = [
                e
                for e in events
                if e.company == company and e.kind == one.rule.crm_event
            ]
            happened = [e for e in own if span[0] <= e.occurred_at < span[1]]
            planned = ConversionEvent.objects.filter(
                rule=one.rule, crm_event__in=happened
            )
            by_label = dict.fromkeys([line.words.label for line in one.lines], 0)
            for line in one.lines:
                by_label[line.words.label] += line.count
            assert sum(by_label.values()) == one.crm_events == len(happened)
            assert by_label.get("Sent", 0) == planned.filter(state="accepted").count()
            assert by_label.get("Skipped", 0) == planned.filter(state="skipped").count()
            assert by_label.get("No rule", 0) == len(happened) - planned.count()
        assert {one.rule.pk for one in found.rules} <= {rule.pk for rule in rules}


def test_numbers_that_do_not_add_up_are_never_shown(make_rule, company) -> None:
    with pytest.raises(AssertionError, match="does not add up"):
        RuleWeek(make_rule(), 3, [])


def test_the_page_shows_what_was_really_sent_with_links_to_it(
    web, company, connected, make_rule
) -> None:
    rule = make_rule("deal_won", name="Won <deals>")
    lead = make_lead(company)
    won = Stage.objects.get(company=company, meaning="won")
    make_deal(lead, stage=won)
    make_deal(make_lead(company, email=""), stage=won)
    send_all(company)
    this = monday_of(timezone.localdate())

    html = web.get(PAGE, {"week": timezone.localdate().isoformat()}).content.decode()

    query = f"rule={rule.pk}&amp;week={this}"
    assert "<h2>Won &lt;deals&gt;</h2>" in html
    assert '<span class="badge">2 CRM events</span>' in html
    assert f'href="{reverse("events")}?state=sent&amp;{query}"' in html
    assert (
        f'href="{reverse("events")}?state=waiting&amp;{query}&amp;reason=no_email"'
        in html
    )


def rows_behind(web, address: str) -> int:
    """How many rows Recent Events shows at this address, on all of its pages."""
    page = web.get(address).context["page"]
    older = f"{address.partition('&before=')[0]}&before={page.older or page.look_on}"
    return len(page.rows) + (
        rows_behind(web, older) if page.older or page.look_on else 0
    )


def test_each_number_is_that_of_the_rows_behind_its_link(
    web, company, other_company, make_rule
) -> None:
    dice = random.Random(20261126)
    services.save_token(company=company, token=TOKEN)
    rules = [
        make_rule(),
        make_rule("deal_won", "2", is_paused=True, paused_reason="rule_not_found"),
    ]
    become(make_rule("lead_created", "3"), "accepted", count=2)
    become(make_rule(company=other_company), "accepted", count=2)
    for rule in rules:
        # More than fits on a page, and more than any other week has.
        become(rule, "accepted", count=60)
        become(rule, "pending", "timed_out", count=2)
        for _ in range(40):
            event = happen(company, rule.crm_event, day=dice.uniform(-2, 9))
            ConversionEvent.objects.create(  # recorded now, as by a backfill
                company=company, rule=rule, crm_event=event,
                state=dice.choice(State.values), reason=dice.choice(["", "too_old", "data_refused"]),
            )  # fmt: skip

    html = web.get(PAGE).content.decode()

    found = re.findall(r'<a href="([^"]*)" aria-label="[^"]*">([\d,\u202f]+)</a>', html)
    assert len(found) > 20
    for address, number in found:
        assert rows_behind(web, unescape(address)) == int(number), address


def test_a_deleted_rule_is_shown_for_the_weeks_in_which_it_had_events(
    web, company, make_rule
) -> None:
    gone, never = make_rule(name="Gone"), make_rule(linkedin_id="2", name="Never used")
    become(gone, "accepted")
    gone.delete()
    never.delete()

    week = web.get(PAGE).context["week"]

    assert [one.rule.name for one in week.rules] == ["Gone"]


@pytest.mark.parametrize(
    ("asked", "weeks_ago", "has_next"),
    [("", 1, True), ("nonsense", 1, True), ("2199-01-01", 0, False)],
)
def test_the_week_is_the_last_whole_one_unless_another_is_asked_for(
    web, asked, weeks_ago, has_next
) -> None:
    page = web.get(PAGE, {"week": asked})

    week = page.context["week"]
    assert week.monday == monday_of(timezone.localdate()) - timedelta(weeks=weeks_ago)
    assert (week.next is not None) == has_next
    assert "Nothing to reconcile" in page.content.decode()


def test_weeks_whose_events_are_no_longer_kept_are_not_offered(web, settings) -> None:
    settings.RETENTION_DAYS = 30

    week = web.get(PAGE, {"week": "2001-01-01"}).context["week"]

    assert week.monday > timezone.localdate() - timedelta(days=30)
    assert week.previous is None


def test_the_file_has_a_line_for_each_rule_and_ending_and_stays_text(
    web, company, make_rule
) -> None:
    rule = make_rule(name="=HYPERLINK(1)", linkedin_id="77")
    become(rule, "accepted", count=2)
    become(rule, "skipped", "opted_out")

    answer = web.post(EXPORT, {"week": MONDAY.isoformat()})

    assert answer.streaming
    assert (
        answer["Content-Disposition"]
        == f'attachment; filename="reconcile-{MONDAY}.csv"'
    )
    assert b"".join(answer).decode().splitlines() == [
        "week,rule,linkedin_id,crm_event,crm_event_label,crm_events,state_label,why,count",
        f"{MONDAY},'=HYPERLINK(1),77,lead_created,Lead created,3,Sent,LinkedIn accepted the event.,2",
        f"{MONDAY},'=HYPERLINK(1),77,lead_created,Lead created,3,Skipped,The lead is not shared with ad platforms.,1",
    ]
    assert AuditEntry.objects.values_list("action", "details").first() == (
        "export", {"what": f"reconcile {MONDAY}"}
    )  # fmt: skip


def test_the_page_takes_as_many_queries_for_many_rules_as_for_one(
    web, make_rule, django_assert_num_queries
) -> None:
    for number in range(20):
        become(make_rule(linkedin_id=str(1_000 + number)), "accepted")
    web.get(PAGE)

    with django_assert_num_queries(7):
        web.get(PAGE)
