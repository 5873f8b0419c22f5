"""The LinkedIn page as a whole: the state of each step, who may do what, and why nothing may be sent."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.models import Connection, ConversionEvent
from capi.selectors import rules
from tests.capi.counted import count_now, record
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

PAGE = reverse("linkedin")
TAG = re.compile("<[^>]+>")


@pytest.fixture
def token(company, admin) -> Connection:
    return services.save_token(company=company, token=TOKEN, user=admin.user)


def page_of(client_as, member):
    return client_as(member).get(PAGE)


def step(page, name: str) -> str:
    """The HTML of one step."""
    return page.content.decode().split(f'id="{name}"')[1].split("</section>")[0]


def row_of(page, rule) -> str:
    """The HTML of one rule's row."""
    return (
        page.content.decode()
        .split(f'id="rule-{rule.pk}"')[1]
        .split("</section>")[0]
        .split('<li class="rule')[0]
    )


def log(rule, state: str, **fields) -> ConversionEvent:
    return ConversionEvent.objects.create(
        company_id=rule.company_id, rule=rule, state=state, **fields
    )


def test_at_first_nothing_is_done(client_as, admin) -> None:
    page = page_of(client_as, admin)

    assert "Not connected" in step(page, "connect")
    for path in ("Conversions API → Direct API", "Data → Signals Manager → Direct API"):
        assert path in step(page, "connect")
    for path in ("Analyze → Conversion tracking", "Measurement → Conversion tracking"):
        assert path in step(page, "map")
    assert "Not tested" in step(page, "verify")


def test_import_waits_for_a_token(client_as, admin, company) -> None:
    web = client_as(admin)
    before = web.get(PAGE)

    services.save_token(company=company, token=TOKEN)

    assert reverse("rule_import") not in before.content.decode()
    assert "once the access token is saved" in step(before, "map")
    assert reverse("rule_import") in web.get(PAGE).content.decode()


def test_each_step_says_when_it_is_done(client_as, admin, token, make_rule) -> None:
    for crm_event, linkedin_id in [("lead_created", "104011"), ("deal_won", "104012")]:
        log(
            make_rule(crm_event, linkedin_id),
            "accepted",
            is_test=True,
            settled_at=Now(),
            http_status=201,
        )
    make_rule("deal_lost", "104013", is_active=False)

    page = page_of(client_as, admin)

    assert "Step 1, done" in step(page, "connect")
    assert '<span class="mark good">Connected</span>' in step(page, "connect")
    assert "2 of 3 active" in step(page, "map")
    assert "2 of 2 working" in step(page, "verify")
    assert [
        step(page, name).count("done</span>") for name in ("connect", "map", "verify")
    ] == [1, 1, 1]
    assert "Campaign Manager may take 24 hours" in step(page, "verify")
    assert "assigned to an active campaign" in step(page, "verify")


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("token_refused", "Refused"),
        ("token_unreadable", "Unreadable"),
        ("version_retired", "On hold"),
    ],
)
def test_step_1_says_what_is_wrong_with_the_token(
    client_as, admin, token, reason, label
) -> None:
    Connection.objects.update(is_paused=True, paused_reason=reason)

    connect = step(page_of(client_as, admin), "connect")

    assert f'<span class="badge bad">{label}</span>' in connect
    assert connect.count("badge bad") == 1


def test_a_rule_shows_when_it_last_sent_and_failed(
    client_as, admin, token, make_rule
) -> None:
    rule = make_rule()
    sent = log(rule, "accepted", settled_at=Now() - timedelta(days=2))
    failed = log(rule, "rejected", settled_at=Now() - timedelta(days=1))
    log(rule, "accepted", settled_at=Now(), is_test=True)

    (row,) = page_of(client_as, admin).context["rows"]

    sent.refresh_from_db()
    failed.refresh_from_db()
    assert (row.last_sent_at, row.last_failed_at) == (
        sent.settled_at,
        failed.settled_at,
    )


@pytest.mark.parametrize(
    ("sent", "failed", "shown", "is_red"),
    [(2, 1, "Failed 1 h ago", True), (1, 2, "Sent 1 h ago", False)],
)
def test_health_is_what_happened_last_and_red_only_if_that_failed(
    client_as, admin, token, make_rule, sent, failed, shown, is_red
) -> None:
    rule = make_rule()
    log(rule, "accepted", settled_at=Now() - timedelta(hours=sent))
    log(rule, "rejected", settled_at=Now() - timedelta(hours=failed))

    health = row_of(page_of(client_as, admin), rule).split('role="status"')[1]

    assert shown in TAG.sub("", health).replace("\xa0", " ")
    assert ("bad-text" in health) == is_red


def test_each_rule_shows_its_events_code_and_has_everything_in_one_row(
    client_as, admin, token, make_rule
) -> None:
    rule = make_rule("deal_won", "104014", name="Purchase")

    page = page_of(client_as, admin)
    row = row_of(page, rule)

    assert "<code>deal_won</code>" in step(page, "map")
    assert "<code>104014</code>" in row
    for name in ("rule_test", "rule_edit", "rule_active", "rule_delete"):
        assert reverse(name, args=[rule.pk]) in row
    for name in ("dry_run", "backfill_plan"):
        assert f"{reverse(name)}?rule={rule.pk}" in row


def test_a_rule_that_is_off_has_nothing_green(
    client_as, admin, token, make_rule
) -> None:
    rule = make_rule(is_active=False)
    log(rule, "accepted", is_test=True, settled_at=Now(), http_status=201)

    row = row_of(page_of(client_as, admin), rule)

    assert "Off</span>" in row
    assert "good" not in row


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (
            ("deal_won", "104011", "Won"),
            "“Won” sends “Deal won” to the same LinkedIn rule",
        ),
        (("deal_won", "104012", "new LEAD"), "Another rule is called “New lead” too"),
        (("deal_won", "104012", "Won"), ""),
    ],
)
def test_a_rule_that_repeats_another_says_what_that_causes(
    client_as, admin, token, make_rule, second, told
) -> None:
    first = make_rule("lead_created", "104011", name="New lead")
    event, linkedin_id, name = second
    make_rule(event, linkedin_id, name=name)

    row = row_of(page_of(client_as, admin), first)

    assert told in row
    assert ("strip" in row) == bool(told)


@pytest.mark.parametrize(
    ("active", "times"),
    [
        pytest.param([True, True], 1, id="once for a pair"),
        pytest.param([True, False], 0, id="a rule that is off repeats nothing"),
    ],
)
def test_an_event_that_counts_as_two_conversions_says_so_once(
    client_as, admin, token, make_rule, active, times
) -> None:
    for linkedin_id, is_active in zip(["104011", "104012"], active, strict=True):
        make_rule("lead_created", linkedin_id, name=linkedin_id, is_active=is_active)

    rules = step(page_of(client_as, admin), "map")

    assert rules.count("Counts as two conversions") == times


@pytest.mark.parametrize(
    "address", ["linkedin", "overview", "events", "alerts", "reconcile"]
)
def test_linkedins_pages_are_tabs(client_as, ops, token, address) -> None:
    page = client_as(ops).get(reverse(address)).content.decode()

    tabs = page.split('<nav class="tabs"')[1].split("</nav>")[0]
    for name in ("linkedin", "overview", "events", "alerts", "reconcile"):
        assert f'<a href="{reverse(name)}"' in tabs
    assert f'<a href="{reverse(address)}" aria-current="page">' in tabs


def test_a_rule_behind_the_newest_events_of_a_busy_company_shows_the_day_it_last_sent_on(
    client_as, admin, token, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(rules, "HEALTH_ROWS", 1)
    weekly, busy = make_rule(), make_rule("deal_won", "104013")
    sent_at = timezone.now() - timedelta(days=4)
    record(weekly, "accepted", sent_at, settled_at=sent_at)
    for _ in range(2):
        record(busy, "accepted", settled_at=timezone.now())
    count_now()

    page = page_of(client_as, admin)

    row = page.context["rows"][0]
    assert (row.last_sent_at, row.last_sent_on) == (None, timezone.localdate(sent_at))
    assert row.is_proven
    assert f'Sent <time datetime="{row.last_sent_on.isoformat()}"' in step(page, "map")
    assert "Nothing sent" not in step(page, "map").split(f'id="rule-{busy.pk}"')[0]


def test_the_last_test_of_a_rule_is_shown_however_far_back(
    client_as, admin, token, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(rules, "HEALTH_ROWS", 1)
    tested, busy = make_rule(), make_rule("deal_won", "104013")
    log(tested, "accepted", is_test=True)
    test = log(tested, "rejected", is_test=True, reason="data_refused")
    for _ in range(2):
        log(busy, "accepted")

    row = page_of(client_as, admin).context["rows"][0]

    assert row.last_test.event == test


@pytest.mark.parametrize(
    ("sent_days_ago", "rows", "is_proven"),
    [(1, 20_000, True), (1, 0, True), (9, 20_000, False)],
)
def test_an_event_that_linkedin_accepted_after_a_failed_test_proves_the_rule(
    client_as, admin, token, make_rule, monkeypatch, sent_days_ago, rows, is_proven
) -> None:
    monkeypatch.setattr(rules, "HEALTH_ROWS", rows)
    rule, now = make_rule(), timezone.now()
    record(
        rule,
        "rejected",
        now - timedelta(days=10),
        is_test=True,
        settled_at=now - timedelta(days=4),
    )
    sent_at = now - timedelta(days=sent_days_ago)
    record(rule, "accepted", sent_at, settled_at=sent_at)
    count_now()

    row = page_of(client_as, admin).context["rows"][0]

    assert row.is_proven == is_proven


def test_a_paused_rule_shows_why_what_waits_and_how_to_go_on(
    client_as, admin, token, make_rule
) -> None:
    rule = make_rule(
        is_paused=True,
        paused_reason="rule_misconfigured",
        paused_message="Conversion is disabled",
    )
    log(rule, "pending")
    log(rule, "pending")

    page = step(page_of(client_as, admin), "map")

    assert "it is switched off there, or not set up for the Conversions API" in page
    assert "LinkedIn's message: “Conversion is disabled”" in page
    assert "2 on hold" in page
    assert reverse("rule_resume", args=[rule.pk]) in page


def test_a_paused_connection_shows_why_and_how_many_are_on_hold(
    client_as, admin, token, make_rule
) -> None:
    Connection.objects.update(is_paused=True, paused_reason="token_refused")
    rule = make_rule()
    for _ in range(3):
        log(rule, "pending")
    log(rule, "pending", is_test=True)

    page = page_of(client_as, admin).content.decode()

    assert "LinkedIn says 401: the access token is expired, revoked or invalid." in page
    assert "3 events are on hold" in page


@pytest.mark.parametrize("reason", ["token_refused", "token_unreadable"])
def test_a_refused_token_is_to_be_replaced_and_no_test_is_sent_with_it(
    client_as, admin, ops, token, make_rule, reason
) -> None:
    Connection.objects.update(is_paused=True, paused_reason=reason)
    rule = make_rule()

    page, theirs = (page_of(client_as, member) for member in (admin, ops))

    content = page.content.decode()
    first_action = content.split('id="pause"')[1].split('id="connect"')[0]
    assert f'href="{reverse("token_save")}"' in first_action
    assert reverse("connection_resume") not in first_action
    assert "Try the saved token again" in step(page, "connect")
    for each in (page, theirs):
        play = row_of(each, rule).split(f'id="play-{rule.pk}"')[1].split(">")[0]
        assert " disabled" in play
        assert "Replace the access token first" in play
        assert "Replace the access token to test a rule" in step(each, "map")
    assert reverse("token_save") not in theirs.content.decode()


def test_another_pause_is_resumed_and_rules_can_be_tested(
    client_as, admin, token, make_rule
) -> None:
    Connection.objects.update(is_paused=True, paused_reason="version_retired")
    rule = make_rule()

    page = page_of(client_as, admin)

    assert 'id="resume-connection"' in page.content.decode().split('id="connect"')[0]
    assert " disabled" not in row_of(page, rule)
    assert "Replace the access token" not in step(page, "map")


def test_ops_read_and_play_and_change_nothing(client_as, ops, token, make_rule) -> None:
    rule = make_rule(is_paused=True, paused_reason="rule_not_found")

    page = page_of(client_as, ops).content.decode()

    assert reverse("rule_test", args=[rule.pk]) in page
    for name in ("token_save", "token_remove", "rule_new", "connection_resume"):
        assert reverse(name) not in page
    for name in ("rule_edit", "rule_active", "rule_resume", "rule_delete"):
        assert f'"{reverse(name, args=[rule.pk])}"' not in page


def test_ops_may_not_post_what_only_admins_may(
    client_as, ops, token, make_rule
) -> None:
    rule, web = make_rule(), client_as(ops)
    addresses = [
        *(
            reverse(name)
            for name in ("token_save", "token_remove", "rule_new", "connection_resume")
        ),
        *(
            reverse(name, args=[rule.pk])
            for name in ("rule_edit", "rule_active", "rule_resume", "rule_delete")
        ),
    ]

    statuses = {web.post(address, {"active": "0"}).status_code for address in addresses}

    assert statuses == {403}
    rule.refresh_from_db()
    assert rule.is_active
    assert Connection.objects.get().has_token


def test_sales_see_none_of_it(client_as, sales, company, make_rule) -> None:
    rule, web = make_rule(), client_as(sales)
    make_lead(company)
    event = ConversionEvent.objects.get()
    addresses = [
        PAGE,
        reverse("events"),
        event.get_absolute_url(),
        reverse("rule_edit", args=[rule.pk]),
        reverse("test_result", args=[event.pk]),
    ]

    statuses = [web.get(address).status_code for address in addresses]
    play = web.post(reverse("rule_test", args=[rule.pk]))

    assert statuses == [403] * 5
    assert play.status_code == 403


@pytest.mark.parametrize("many", [1, 6])
def test_it_takes_the_same_queries_however_many_rules_there_are(
    client_as, admin, company, token, make_rule, many, django_assert_num_queries
) -> None:
    for number in range(many):
        rule = make_rule("lead_created", str(104011 + number))
        log(rule, "accepted", is_test=True)
    make_lead(company)
    web = client_as(admin)

    # Session, person, company; line; rules, where their health begins, their health, what is pending, their last tests,
    # the days of what was sent earlier; the last check-up.
    with django_assert_num_queries(12):
        web.get(PAGE)


def test_ops_are_told_what_they_can_do_and_are_offered_nothing_that_they_cannot(
    client_as, admin, ops, company, token, make_rule
) -> None:
    company.grace_seconds = 60
    company.save()
    make_rule(is_paused=True, paused_reason="rule_not_found")
    theirs, admins = (
        client_as(member).get(PAGE).content.decode() for member in (ops, admin)
    )

    assert "Ask an admin to copy the rule id from Campaign Manager again." in theirs
    assert "Ask an admin" not in admins
    assert 'name="grace_seconds"' not in theirs
    assert re.search("Time to undo: <strong> ?1 minute ?</strong>", theirs)
    assert 'name="grace_seconds"' in admins


def test_no_explanation_is_shown_without_what_the_reader_may_do() -> None:
    """With `only`, a part does not see `may` unless it is given: ops would be told to do what only an admin can."""
    include = re.compile(
        r'_parts/(?:explanation|note|next_step)\.html" with [^%]* only'
    )
    found = [
        found
        for path in Path("templates").rglob("*.html")
        for found in include.findall(path.read_text())
    ]

    assert len(found) >= 10
    assert [each for each in found if "may=may" not in each] == []
