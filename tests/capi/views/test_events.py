"""Recent Events: newest first, filtered, in pages that stay put while rows come in."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from capi import services
from capi.models import ConversionEvent
from capi.models.functions import first_id_since
from capi.selectors import event_counts
from capi.selectors import events as log_module
from crm.models import Company, CrmEvent
from tests.capi.counted import count_now, record
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

PAGE = reverse("events")


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


def log(
    rule, state: str = "accepted", *, days_ago: float = 0, **fields
) -> ConversionEvent:
    moment = Now() - timedelta(days=days_ago)
    return ConversionEvent.objects.create(
        company_id=rule.company_id, rule=rule, state=state, created_at=moment, **fields
    )


def ids(web, **query) -> list[int]:
    """The ids on the page, in its order."""
    return [row.event.pk for row in web.get(PAGE, query).context["page"].rows]


def test_it_shows_the_newest_first_with_lead_rule_state_and_reason(
    web, company, make_rule
) -> None:
    rule = make_rule("lead_qualified", name="Qualified by us")
    lead = make_lead(
        company, first_name="Grace", last_name="Hopper", organisation="Navy", email=""
    )
    sent = log(rule, lead=lead, http_status=201)
    waiting = log(rule, "waiting", lead=lead, reason="no_email", next_attempt_at=Now())

    page = web.get(PAGE)

    html = page.content.decode()
    assert [row.event for row in page.context["page"].rows] == [waiting, sent]
    assert [row.words.label for row in page.context["page"].rows] == [
        "Waiting for an e-mail",
        "Sent",
    ]
    assert f'<a href="{lead.get_absolute_url()}"><bdi>Grace Hopper</bdi></a>' in html
    assert (
        f'<a href="{sent.get_absolute_url()}">Lead qualified</a><small>Qualified by us</small>'
        in html
    )


def test_each_chip_shows_its_states_and_leaves_tests_out(
    web, company, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN)
    going, paused = (
        make_rule(),
        make_rule("deal_won", is_paused=True, paused_reason="rule_not_found"),
    )
    by_state = {
        state: log(going, state).pk
        for state in (
            "accepted",
            "pending",
            "waiting",
            "rejected",
            "expired",
            "exhausted",
            "skipped",
            "cancelled",
        )
    }
    held = log(paused, "pending").pk
    test = log(going, "accepted", is_test=True).pk

    shown = {
        chip: ids(web, state=chip)
        for chip in (
            "sent",
            "queued",
            "on_hold",
            "waiting",
            "failed",
            "not_sent",
            "test",
        )
    }

    assert shown == {
        "sent": [by_state["accepted"]],
        "queued": [by_state["pending"]],
        "on_hold": [held],
        "waiting": [by_state["waiting"]],
        "failed": [by_state["exhausted"], by_state["expired"], by_state["rejected"]],
        "not_sent": [by_state["cancelled"], by_state["skipped"]],
        "test": [test],
    }
    assert len(ids(web)) == 10
    for state in ("rejected", "expired", "exhausted", "skipped", "cancelled"):
        assert ids(web, state=state) == [by_state[state]]


@pytest.mark.parametrize(
    ("chosen", "whole", "parts"),
    [
        ("", "All", []),
        ("failed", "Failed", ["Rejected", "Expired", "Gave up"]),
        ("expired", "Failed", ["Rejected", "Expired", "Gave up"]),
        ("cancelled", "Not sent", ["Skipped", "Cancelled"]),
    ],
)
def test_a_chip_of_several_states_offers_each_of_them(
    web, chosen, whole, parts
) -> None:
    page = web.get(PAGE, {"state": chosen})

    assert [chip.label for chip in page.context["chips"] if chip.is_current] == [whole]
    assert [chip.label for chip in page.context["parts"]] == parts
    assert [chip.value for chip in page.context["parts"] if chip.is_current] == [
        chosen
    ] * (chosen not in ("", "failed"))
    assert ('aria-label="State, exactly"' in page.content.decode()) == bool(parts)


def test_all_that_is_queued_is_on_hold_while_the_line_is_paused(
    web, company, make_rule
) -> None:
    connection = services.save_token(company=company, token=TOKEN)
    event = log(make_rule(), "pending")
    connection.is_paused, connection.paused_reason = True, "token_refused"
    connection.save()

    page = web.get(PAGE, {"state": "on_hold"})

    assert [(row.event, row.words.label) for row in page.context["page"].rows] == [
        (event, "On hold")
    ]
    assert ids(web, state="queued") == []


def test_rule_and_crm_event_narrow_the_log(web, make_rule) -> None:
    created, won = make_rule("lead_created"), make_rule("deal_won")
    first, second = log(created), log(won)

    by_rule, by_event = ids(web, rule=won.pk), ids(web, event="lead_created")

    assert by_rule == [second.pk]
    assert by_event == [first.pk]


def test_events_of_a_deleted_rule_stay(web, make_rule) -> None:
    rule = make_rule(name="Gone")
    event = log(rule)
    rule.delete()

    page = web.get(PAGE)

    assert [row.event for row in page.context["page"].rows] == [event]
    assert "Gone" in page.content.decode()


def test_a_period_counts_whole_days(web, make_rule) -> None:
    rule = make_rule()
    pks = {days: log(rule, days_ago=days).pk for days in (100, 89, 29, 6, 0)}

    shown = {period: ids(web, period=period) for period in (1, 7, 30, 90)}

    assert shown == {
        1: [pks[0]],
        7: [pks[0], pks[6]],
        30: [pks[0], pks[6], pks[29]],
        90: [pks[0], pks[6], pks[29], pks[89]],
    }


def test_from_and_until_hold_both_days_in_the_company_s_time_zone(
    web, make_rule
) -> None:
    rule = make_rule()
    Company.objects.filter(pk=rule.company_id).update(time_zone="Europe/Amsterdam")
    amsterdam = ZoneInfo("Europe/Amsterdam")
    moments = [
        datetime(2026, 3, 1, 23, 59, 59, tzinfo=amsterdam),
        datetime(2026, 3, 2, 0, 0, tzinfo=amsterdam),
        datetime(2026, 3, 3, 23, 59, 59, tzinfo=amsterdam),
        datetime(2026, 3, 4, 0, 0, tzinfo=amsterdam),
    ]
    pks = [
        ConversionEvent.objects.create(
            company=rule.company, rule=rule, created_at=at
        ).pk
        for at in moments
    ]

    shown = ids(web, since="2026-03-02", until="2026-03-03")

    assert shown == [pks[2], pks[1]]


@pytest.mark.parametrize(
    "query",
    [
        {"state": "lost"}, {"rule": "999"}, {"rule": "x"}, {"event": "lead_lost"}, {"period": "8"}, {"since": "soon"},
        {"until": "9999-12-31"}, {"since": "0001-01-01"}, {"before": "x"}, {"before": "-1"}, {"after": str(2**63)},
        {"before": "1\x00"}, {"week": "now"}, {"week": "9999-12-31"},
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_narrows_nothing(web, make_rule, query) -> None:
    event = log(make_rule())

    assert ids(web, **query) == [event.pk]


@pytest.mark.parametrize(
    ("query", "name"), [({"state": "zzz"}, "State"), ({"since": "soon"}, "From")]
)
def test_a_value_that_makes_no_sense_is_said_to_be_left_out(web, query, name) -> None:
    pages = [
        web.get(PAGE, asked).content.decode() for asked in (query, {"state": "sent"})
    ]

    assert [f"Not valid, so ignored: {name}." in page for page in pages] == [
        True,
        False,
    ]


def test_a_period_that_ends_before_it_begins_says_so(web) -> None:
    page = web.get(
        PAGE, {"since": "2026-03-03", "until": "2026-03-02"}
    ).content.decode()

    assert "The end date is before the start date." in page


def test_pages_follow_each_other_and_stay_put_while_rows_come_in(
    web, make_rule
) -> None:
    rule = make_rule()
    pks = [log(rule).pk for _ in range(120)][::-1]

    first = web.get(PAGE).context["page"]
    log(rule)
    second = web.get(PAGE, {"before": first.older}).context["page"]
    third = web.get(PAGE, {"before": second.older}).context["page"]
    back = web.get(PAGE, {"after": third.newer}).context["page"]

    assert [row.event.pk for row in first.rows] == pks[:50]
    assert [row.event.pk for row in second.rows] == pks[50:100]
    assert [row.event.pk for row in third.rows] == pks[100:]
    assert [row.event.pk for row in back.rows] == pks[50:100]
    assert (first.newer, third.older) == (None, None)


def test_a_page_of_several_states_is_in_the_order_of_the_log(web, make_rule) -> None:
    rule = make_rule()
    states = ["rejected", "expired", "exhausted"]
    pks = [log(rule, states[number % 3]).pk for number in range(70)][::-1]

    first = web.get(PAGE, {"state": "failed"}).context["page"]
    second = web.get(PAGE, {"state": "failed", "before": first.older}).context["page"]
    back = web.get(PAGE, {"state": "failed", "after": second.newer}).context["page"]

    assert [row.event.pk for row in first.rows] == pks[:50]
    assert [row.event.pk for row in second.rows] == pks[50:]
    assert [row.event.pk for row in back.rows] == pks[:50]


def test_a_long_search_stops_and_says_where_to_go_on(
    web, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(log_module, "STRETCH", 10)
    rare, common = make_rule("deal_won"), make_rule()
    old = log(rare)
    for _ in range(15):
        log(common)

    first = web.get(PAGE, {"rule": rare.pk})
    further = web.get(PAGE, {"rule": rare.pk, "before": first.context["page"].look_on})

    assert first.context["page"].rows == []
    assert "Search older events" in first.content.decode()
    assert [row.event for row in further.context["page"].rows] == [old]
    assert further.context["page"].look_on is None


@pytest.mark.parametrize("is_of_rule", [False, True])
def test_an_old_test_event_is_found_at_once_and_counted(
    web, make_rule, monkeypatch, is_of_rule
) -> None:
    monkeypatch.setattr(log_module, "STRETCH", 10)
    rule = make_rule()
    old = log(rule, is_test=True)
    for _ in range(15):
        log(rule)

    page = web.get(PAGE, {"state": "test", **({"rule": rule.pk} if is_of_rule else {})})

    assert (
        [row.event for row in page.context["page"].rows],
        page.context["page"].look_on,
    ) == ([old], None)
    assert counts(page)["Test"] == "1"


def test_only_the_first_page_refreshes_itself(web, make_rule) -> None:
    rule = make_rule()
    event = log(rule)

    first = web.get(PAGE, {"state": "sent"}).content.decode()
    later = web.get(PAGE, {"state": "sent", "before": event.pk + 1}).content.decode()

    assert f'data-live hx-get="{PAGE}?state=sent" hx-trigger="every 4s"' in first
    assert "data-live" not in later


def test_a_refresh_gets_the_rows_alone(web, make_rule) -> None:
    log(make_rule())

    part = web.get(PAGE, headers={"HX-Request": "true", "HX-Trigger": "rows"})

    assert part.content.decode().lstrip().startswith('<div id="rows"')
    assert "HX-Trigger" in part["Vary"]


def test_an_empty_log_says_how_it_fills(web) -> None:
    page = web.get(PAGE).content.decode()

    assert "No events yet" in page


def test_filters_that_match_nothing_say_so(web, make_rule) -> None:
    log(make_rule())

    page = web.get(PAGE, {"state": "failed"}).content.decode()

    assert "No matching events" in page


@pytest.mark.parametrize(
    "query",
    [
        {}, {"state": "failed"}, {"state": "on_hold"}, {"period": "7", "event": "deal_won"},
        {"week": "2026-11-23", "state": "failed"},
    ],
)  # fmt: skip
def test_it_takes_the_same_queries_however_long_the_log_is(
    web, company, make_rule, query
) -> None:
    rules = [make_rule("deal_won"), make_rule()]
    log(rules[0], lead=make_lead(company))
    with CaptureQueriesContext(database) as short:
        web.get(PAGE, query)
    for number in range(60):
        log(
            rules[number % 2],
            "rejected" if number % 3 else "accepted",
            lead=make_lead(company),
        )

    with CaptureQueriesContext(database) as long:
        web.get(PAGE, query)

    assert len(long) == len(short) <= 15
    assert not [
        query["sql"]
        for query in long
        if "COUNT" in query["sql"] and "LIMIT" not in query["sql"]
    ]


def test_the_first_id_since_a_moment_is_found_between_gaps(
    company, other_company, make_rule
) -> None:
    rule = make_rule()
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    pks = [
        ConversionEvent.objects.create(
            company=company, rule=rule, created_at=start + timedelta(hours=hour)
        ).pk
        for hour in range(40)
    ]
    ConversionEvent.objects.filter(pk__in=pks[10:20]).delete()

    def found(hour: float) -> list[int]:
        since = first_id_since(company.pk, start + timedelta(hours=hour))
        return list(
            ConversionEvent.objects.filter(pk__gte=since)
            .order_by("pk")
            .values_list("pk", flat=True)
        )

    left = pks[:10] + pks[20:]
    assert found(-1) == left
    assert found(0) == left
    assert found(5) == pks[5:10] + pks[20:]
    assert found(5.5) == pks[6:10] + pks[20:]
    assert found(12) == pks[20:]
    assert found(39) == pks[39:]
    assert found(40) == []
    assert first_id_since(other_company.pk, start) == 0


def test_a_reason_can_be_asked_for_whatever_the_state(web, make_rule) -> None:
    rule = make_rule()
    refused = log(rule, "rejected", reason="data_refused").pk
    given_up = log(rule, "exhausted", reason="timed_out").pk
    tried = log(rule, "pending", reason="timed_out").pk

    assert ids(web, reason="timed_out") == [tried, given_up]
    assert ids(web, reason="timed_out", state="failed") == [given_up]
    assert ids(web, reason="nonsense") == [tried, given_up, refused]


@pytest.mark.parametrize(
    ("chip", "state"), [("failed", "expired"), ("not_sent", "cancelled")]
)
def test_a_rare_reason_is_looked_for_in_a_stretch_of_its_states(
    web, make_rule, monkeypatch, chip, state
) -> None:
    monkeypatch.setattr(log_module, "STRETCH", 10)
    rule = make_rule()
    rare = log(rule, state, reason="data_refused")
    for _ in range(14):
        log(rule, "accepted")
        log(rule, state, reason="too_old")
    asked = {"state": chip, "reason": "data_refused"}

    first = web.get(PAGE, asked).context["page"]
    second = web.get(PAGE, {**asked, "before": first.look_on}).context["page"]

    assert first.rows == []
    assert [row.event for row in second.rows] == [rare]


def test_a_week_is_that_of_what_happened_and_not_of_its_record(
    web, company, make_rule
) -> None:
    rule = make_rule()
    Company.objects.filter(pk=company.pk).update(time_zone="Europe/Amsterdam")
    amsterdam = ZoneInfo("Europe/Amsterdam")
    moments = [
        datetime(2026, 3, 1, 23, 59, 59, tzinfo=amsterdam),
        datetime(2026, 3, 2, 0, 0, tzinfo=amsterdam),
        datetime(2026, 3, 8, 23, 59, 59, tzinfo=amsterdam),
        datetime(2026, 3, 9, 0, 0, tzinfo=amsterdam),
    ]
    happened = [
        CrmEvent.objects.create(company=company, kind="lead_created", occurred_at=at)
        for at in moments
    ]
    pks = [log(rule, crm_event=event).pk for event in happened]
    log(rule, is_test=True)

    page = web.get(PAGE, {"week": "2026-03-05"})

    assert [row.event.pk for row in page.context["page"].rows] == [pks[2], pks[1]]
    assert ids(web, week="2026-03-05", before=pks[2]) == [pks[1]]
    assert ids(web, week="2026-03-05", after=pks[1]) == [pks[2]]
    assert ids(web, week="2026-03-05", event="deal_won") == []
    assert "data-live" not in page.content.decode()


def test_an_old_week_is_found_at_once_however_much_was_recorded_since(
    web, company, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(log_module, "STRETCH", 10)
    rule = make_rule()
    at = datetime(2026, 3, 4, tzinfo=ZoneInfo("UTC"))
    old = log(
        rule,
        crm_event=CrmEvent.objects.create(
            company=company, kind="lead_created", occurred_at=at
        ),
    )
    for _ in range(15):
        log(rule)

    page = web.get(
        PAGE, {"week": "2026-03-02", "state": "sent", "rule": rule.pk}
    ).context["page"]

    assert ([row.event for row in page.rows], page.look_on) == ([old], None)


def test_events_without_a_reason_can_be_asked_for(web, make_rule) -> None:
    plain, _ = (
        log(make_rule(), "rejected"),
        log(make_rule("deal_won"), "rejected", reason="data_refused"),
    )

    assert ids(web, reason="none") == [plain.pk]


def counts(page) -> dict[str, str]:
    return {
        chip.label: str(chip.count)
        for chip in [*page.context["chips"], *page.context["parts"]]
    }


def test_each_chip_says_how_many_events_it_has(web, company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    rule, paused = (
        make_rule(),
        make_rule("deal_won", is_paused=True, paused_reason="rule_not_found"),
    )
    for state in (
        "accepted",
        "accepted",
        "pending",
        "waiting",
        "rejected",
        "expired",
        "skipped",
    ):
        log(rule, state)
    log(paused, "pending")
    log(rule, "accepted", is_test=True)

    page = web.get(PAGE, {"state": "failed"})

    assert counts(page) == {
        "All": "9", "Sent": "2", "Queued": "1", "On hold": "1", "Waiting": "1", "Failed": "2", "Not sent": "1",
        "Test": "1", "Rejected": "1", "Expired": "1", "Gave up": "0",
    }  # fmt: skip
    html = page.content.decode()
    assert '>Failed <span class="count">2</span></a>' in html
    assert "Only All and Test count test events." in html


def test_the_counts_are_of_what_the_other_filters_leave(web, make_rule) -> None:
    rule, other = make_rule(), make_rule("deal_won")
    log(rule, "rejected")
    log(other, "rejected")
    log(other)

    assert counts(web.get(PAGE, {"rule": rule.pk}))["All"] == "1"
    assert counts(web.get(PAGE, {"event": "deal_won"}))["Failed"] == "1"


def test_counting_stops_where_it_would_take_long(web, make_rule, monkeypatch) -> None:
    monkeypatch.setattr(event_counts, "COUNT_LIMIT", 3)
    monkeypatch.setattr(log_module, "STRETCH", 6)
    rule, rare = make_rule(), make_rule("deal_won")
    log(rare)
    for _ in range(7):
        log(rule)

    assert counts(web.get(PAGE))["All"] == "3+"
    assert counts(web.get(PAGE, {"rule": rare.pk}))["All"] == "0+"
    assert counts(web.get(PAGE, {"week": "2026-11-23"}))["All"] == "None"


def test_what_a_short_scan_misses_is_counted_by_a_long_one(
    web, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(event_counts, "COUNT_LIMIT", 3)
    monkeypatch.setattr(event_counts, "SHORT_STRETCH", 4)
    rule = make_rule()
    for _ in range(5):
        log(rule)
    with CaptureQueriesContext(database) as captured:
        assert counts(web.get(PAGE))["Sent"] == "3+"
    usual = len(captured)

    for _ in range(4):
        log(rule, "rejected")
    with CaptureQueriesContext(database) as captured:
        assert counts(web.get(PAGE))["Sent"] == "3+"
    assert len(captured) == usual + 2

    monkeypatch.setattr(event_counts, "COUNT_LIMIT", 5)
    assert counts(web.get(PAGE))["Sent"] == "5"


def test_exactly_as_many_as_are_counted_are_not_more(
    web, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(event_counts, "COUNT_LIMIT", 3)
    monkeypatch.setattr(event_counts, "SHORT_STRETCH", 4)
    rule = make_rule()
    for _ in range(5):
        log(rule, "skipped")
    for _ in range(3):
        log(rule)

    assert counts(web.get(PAGE))["Sent"] == "3"


def test_only_reasons_that_occur_are_offered_in_groups(web, make_rule) -> None:
    rule = make_rule()
    record(rule, "rejected", reason="data_refused")
    record(rule, "exhausted", reason="timed_out")
    count_now()

    offered = (
        web.get(PAGE, {"reason": "no_token"})
        .context["form"]
        .fields["reason"]
        .widget.choices
    )

    assert offered == [
        ("", "Any reason"),
        ("Lead or deal", [("data_refused", "Data rejected")]),
        ("LinkedIn not available", [("timed_out", "Timed out")]),
        ("Connection", [("no_token", "No access token")]),
        ("none", "None"),
    ]


def test_a_lead_is_found_by_name_and_the_name_is_in_no_url(
    web, company, make_rule
) -> None:
    rule = make_rule()
    found = log(rule, lead=make_lead(company, first_name="Grace", last_name="Hopper"))
    log(rule, lead=make_lead(company, first_name="Ada", last_name="Lovelace"))

    answer = web.post(PAGE, {"search": "grace hop", "rule": rule.pk, "state": "sent"})
    page = web.get(answer.url)

    assert "grace" not in answer.url
    assert f"rule={rule.pk}&state=sent&search=" in answer.url
    assert [row.event for row in page.context["page"].rows] == [found]
    assert 'value="grace hop"' in page.content.decode()
    assert counts(page)["Sent"] == "1"


def test_another_member_s_search_finds_nothing_of_it(
    web, client_as, admin, company, make_rule
) -> None:
    lead = make_lead(company, first_name="Grace")
    event = log(make_rule(), lead=lead)
    url = web.post(PAGE, {"search": "nobody of this name"}).url

    assert [row.event for row in client_as(admin).get(url).context["page"].rows] == [
        event
    ]
    assert web.get(url).context["page"].rows == []


def test_a_changed_filter_gets_the_whole_page_for_its_counts(web) -> None:
    page = web.get(
        PAGE, headers={"HX-Request": "true", "HX-Trigger": "filters"}
    ).content.decode()

    assert 'id="chips"' in page
    assert 'id="rows"' in page


def test_a_name_that_turns_the_direction_of_text_turns_only_itself(
    web, company, make_rule
) -> None:
    log(
        make_rule(),
        lead=make_lead(
            company,
            first_name="Ada\u202e",
            last_name="Byron",
            organisation="Acme\u202e",
        ),
    )

    page = web.get(PAGE).content.decode()

    assert "<bdi>Ada Byron</bdi>" in page
    assert "<bdi>Acme\u202e</bdi>" in page
