"""The same form posted 20 times at once, and again after Back: it is done once, and each answer says so (F58)."""

import re
from collections import Counter

import pytest
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from capi.models import Backfill, Connection, ConversionEvent, ConversionRule
from crm.models import (
    AuditEntry,
    CrmEvent,
    Deal,
    IdempotencyRecord,
    Lead,
    LeadStatus,
    Stage,
)
from crm.services.erasure import erase_lead
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import TOKEN, give_password, make_deal, make_lead
from tests.crm.api.calling import caller
from tests.faults import figures
from tests.faults.invariants import broken
from tests.faults.threads import in_threads
from tests.faults.world import make_leads
from tests.housekeeping import keep_house

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

TIMES = 20


@pytest.fixture
def web(client_as, admin) -> Client:
    return client_as(admin)


def post_at_once(
    client: Client, path: str, data: dict[str, object] | None = None
) -> list[HttpResponse]:
    """Post one form from one browser TIMES times at once. Returns the answers."""
    answers: list[HttpResponse] = []

    def post(number: int) -> None:
        impatient = Client()
        impatient.cookies = client.cookies.copy()
        answers.append(impatient.post(path, data or {}))

    in_threads(TIMES, post)
    figures.count("forms posted at once", TIMES)
    return answers


def where_to(answers: list[HttpResponse]) -> Counter[str]:
    """Counts the addresses to which the answers redirect; an answer without one counts by its status."""
    return Counter(
        answer.get("Location", str(answer.status_code)) for answer in answers
    )


def recorded(action: str) -> int:
    return AuditEntry.objects.filter(action=action).count()


def books(sandbox):
    return sandbox.ledger.tail(1_000)[::-1]


# --- leads and deals -------------------------------------------------------------------------------------------------


def fill_in(web: Client, path: str, **fields: object) -> dict[str, object]:
    """The form as a browser sends it, with the key that the page gave it."""
    found = re.search(
        r'name="form_key" value="([0-9a-f]{32})"', web.get(path).content.decode()
    )
    assert found, f"the form at {path} has no key"
    return {"form_key": found[1], **fields}


@pytest.fixture
def new_lead(web, company) -> dict[str, object]:
    status = LeadStatus.objects.get(company=company, meaning="qualified")
    person = {
        "first_name": "Grace",
        "email": "grace@example.com",
        "type": "inbound",
        "share_with_ad_platforms": "on",
    }
    return fill_in(web, "/leads/new/", status=status.pk, **person)


@pytest.mark.representative
@pytest.mark.covers("F58")
def test_a_new_lead_is_added_once_and_sent_once(
    web, company, connected, sandbox, make_rule, new_lead
) -> None:
    make_rule()
    make_rule("lead_qualified", "104013")

    answers = post_at_once(web, "/leads/new/", new_lead)

    lead = Lead.objects.get()
    assert where_to(answers) == {f"/leads/{lead.pk}/": TIMES}
    assert list(CrmEvent.objects.order_by("pk").values_list("kind", flat=True)) == [
        "lead_created",
        "lead_qualified",
    ]
    send_all(company)
    assert len(received(sandbox)) == 2
    assert broken(books(sandbox)) == []


@pytest.mark.django_db
@pytest.mark.covers("F58")
def test_back_and_the_same_again_leads_to_what_was_added_and_says_so(
    web, new_lead
) -> None:
    web.post("/leads/new/", new_lead)

    again = web.post("/leads/new/", new_lead, follow=True)

    assert again.redirect_chain == [(f"/leads/{Lead.objects.get().pk}/", 302)]
    assert "You submitted this form twice. It was saved once." in again.content.decode()


@pytest.mark.django_db
@pytest.mark.covers("F58")
def test_back_and_somebody_else_typed_in_is_another_lead(web, new_lead) -> None:
    web.post("/leads/new/", new_lead)

    web.post(
        "/leads/new/", {**new_lead, "first_name": "Mary", "email": "mary@example.com"}
    )

    assert list(Lead.objects.order_by("pk").values_list("first_name", flat=True)) == [
        "Grace",
        "Mary",
    ]


@pytest.mark.covers("F58")
def test_a_form_that_was_refused_keeps_its_key_and_is_saved_once_it_is_right(
    web, new_lead
) -> None:
    refused = web.post(
        "/leads/new/", {**new_lead, "email": "no address"}
    ).content.decode()

    answers = post_at_once(web, "/leads/new/", new_lead)

    assert f'value="{new_lead["form_key"]}"' in refused
    assert where_to(answers) == {f"/leads/{Lead.objects.get().pk}/": TIMES}


@pytest.mark.django_db
@pytest.mark.covers("F58")
def test_the_same_words_in_two_forms_or_in_two_companies_are_two_leads(
    web, other_company, admin, client_as, new_lead
) -> None:
    web.post("/leads/new/", new_lead)
    web.post("/leads/new/", {**new_lead, "form_key": "0" * 32, "add_anyway": "1"})
    theirs = admin.user.memberships.create(company=other_company, role="admin")
    foreign = LeadStatus.objects.filter(company=other_company).first()

    neighbour = client_as(theirs)
    neighbour.post("/switch-company/", {"company": other_company.pk})
    neighbour.post("/leads/new/", {**new_lead, "status": foreign.pk})

    assert Counter(Lead.objects.values_list("company__slug", flat=True)) == {
        "northwind": 2,
        "contoso": 1,
    }


@pytest.mark.covers("F58")
def test_a_new_deal_is_added_once_and_sent_once(
    web, company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_won")
    won = Stage.objects.get(company=company, meaning="won")
    path = f"/deals/new/?lead={make_lead(company).pk}"
    form = fill_in(
        web, path, title="Forty licences", amount="1250", currency="EUR", stage=won.pk
    )

    answers = post_at_once(web, path, form)

    deal = Deal.objects.get()
    assert where_to(answers) == {f"/deals/{deal.pk}/": TIMES}
    send_all(company)
    assert [element["conversionValue"]["amount"] for element in received(sandbox)] == [
        "1250.00"
    ]
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F58")
def test_where_the_first_try_fails_the_second_saves(web, company, monkeypatch) -> None:
    lead = make_lead(company)
    path = f"/deals/new/?lead={lead.pk}"
    form = fill_in(
        web,
        path,
        title="Ten licences",
        currency="EUR",
        stage=Stage.objects.filter(company=company)[0].pk,
    )
    web.raise_request_exception = False
    with monkeypatch.context() as broken_for_now:
        broken_for_now.setattr(Deal, "save", lambda *args, **kwargs: 1 / 0)
        failed = web.post(path, form)

    answer = web.post(path, form)

    assert (failed.status_code, answer.get("Location")) == (
        500,
        f"/deals/{Deal.objects.get().pk}/",
    )


@pytest.mark.django_db
@pytest.mark.covers("F58")
def test_what_was_posted_is_kept_as_a_hash_for_a_week(web, new_lead) -> None:
    web.post("/leads/new/", new_lead)
    kept = IdempotencyRecord.objects.get()

    erase_lead(lead=Lead.objects.get())
    keep_house()
    assert re.fullmatch(r"[0-9a-f]{64}", kept.sha256)
    assert IdempotencyRecord.objects.count() == 1

    IdempotencyRecord.objects.update(posted_at=kept.posted_at.replace(year=2025))
    keep_house()
    assert IdempotencyRecord.objects.count() == 0


# --- over the API ----------------------------------------------------------------------------------------------------

GRACE = {"first_name": "Grace", "email": "grace@example.com"}


def add(api, key: str, **fields: object):
    return api.post(
        "/api/v1/leads/", {**GRACE, **fields}, headers={"Idempotency-Key": key}
    )


@pytest.mark.covers("F58")
def test_20_requests_with_one_idempotency_key_add_one_lead_and_get_one_answer(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    api = [caller(company) for _ in range(TIMES)]
    answers = []

    in_threads(TIMES, lambda number: answers.append(add(api[number], "row-1")))

    assert [answer.status_code for answer in answers] == [201] * TIMES
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["id"] == Lead.objects.get().pk
    send_all(company)
    assert len(received(sandbox)) == 1
    assert broken(books(sandbox)) == []


@pytest.mark.django_db
@pytest.mark.covers("F58")
def test_a_deal_is_added_once_for_a_key_too(company) -> None:
    api, deal = (
        caller(company),
        {"lead": make_lead(company).pk, "title": "Ten licences", "amount": "12.50"},
    )

    ids = {
        api.post("/api/v1/deals/", deal, headers={"Idempotency-Key": "1"}).json()["id"]
        for _ in range(2)
    }

    assert ids == {Deal.objects.get().pk}


@pytest.mark.django_db
@pytest.mark.covers("F58")
def test_another_key_another_body_another_company_or_no_key_adds_another(
    company, other_company
) -> None:
    api, theirs = caller(company), caller(other_company)
    for number in range(2):
        add(api, "row-1")
        add(api, f"row-2-{number}")
        add(api, "row-1", last_name=f"Hopper {number}")
        api.post("/api/v1/leads/", GRACE)
    add(theirs, "row-1")

    assert Lead.objects.filter(company=company).count() == 1 + 2 + 2 + 2
    assert Lead.objects.get(company=other_company).first_name == "Grace"


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", " ", "x" * 201, "tab\there", "\u00e9"])
@pytest.mark.covers("F58")
def test_what_can_be_no_idempotency_key_is_refused_and_nothing_is_added(
    key, company
) -> None:
    answer = add(caller(company), key)

    assert answer.status_code == 400
    assert answer.json() == {
        "Idempotency-Key": ["Enter 1 to 200 printable ASCII characters without spaces."]
    }
    assert not Lead.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("gone", ["deleted", "erased"])
@pytest.mark.covers("F58")
def test_what_is_gone_is_not_added_again_by_the_request_that_added_it(
    gone, company, connected
) -> None:
    api = caller(company)
    add(api, "row-1")
    lead = Lead.objects.get()
    if gone == "deleted":
        lead.delete()
    else:
        erase_lead(lead=lead)

    answer = add(api, "row-1")

    assert (answer.status_code, answer.json()["detail"].partition(".")[0]) == (
        409,
        "The row that this request added no longer exists",
    )
    assert not Lead.objects.filter(first_name="Grace").exists()


@pytest.mark.covers("F58")
def test_a_status_and_a_stage_that_are_set_20_times_change_once(
    web, company, connected, sandbox, make_rule
) -> None:
    make_rule("lead_qualified", frequency="every_time")
    make_rule("deal_won", "104014", frequency="every_time")
    lead = make_lead(company)
    deal = make_deal(lead)
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    won = Stage.objects.get(company=company, meaning="won")

    statuses = post_at_once(
        web, reverse("lead_status", args=[lead.pk]), {"status": qualified.pk}
    )
    stages = post_at_once(web, reverse("deal_move", args=[deal.pk]), {"stage": won.pk})

    assert where_to(statuses) == {f"/leads/{lead.pk}/": TIMES}
    assert where_to(stages) == {"/deals/": TIMES}
    assert CrmEvent.objects.filter(kind__in=["lead_qualified", "deal_won"]).count() == 2
    send_all(company)
    assert len(received(sandbox)) == 2


@pytest.mark.covers("F58")
def test_an_erasure_that_is_asked_for_20_times_has_one_receipt(
    web, company, connected, make_rule
) -> None:
    make_rule()
    lead = make_lead(company)

    answers = post_at_once(
        web, reverse("lead_erase", args=[lead.pk]), {"name": lead.name}
    )

    assert recorded("erasure") == 1
    assert set(where_to(answers)) <= {f"/leads/{lead.pk}/", "404"}
    assert states(company) == ["cancelled"]


# --- the LinkedIn pages ----------------------------------------------------------------------------------------------


@pytest.mark.covers("F58")
def test_a_rule_is_added_once_and_the_other_posts_say_that_it_is_there(
    web, company
) -> None:
    rule = {
        "name": "Won",
        "crm_event": "deal_won",
        "linkedin_id": "104014",
        "frequency": "once",
        "is_active": "on",
    }

    answers = post_at_once(web, reverse("rule_new"), rule)

    assert ConversionRule.objects.count() == recorded("rule_created") == 1
    assert where_to(answers) == {"/integrations/linkedin/#map": 1, "200": TIMES - 1}
    told = [answer.content.decode() for answer in answers if answer.status_code == 200]
    assert all(
        "An active rule sends this CRM event to this LinkedIn rule id already." in page
        for page in told
    )


@pytest.mark.covers("F58")
def test_a_rule_that_20_scripts_add_over_the_api_is_added_once(company) -> None:
    api = [caller(company) for _ in range(TIMES)]
    rule = {"name": "Won", "crm_event": "deal_won", "linkedin_id": "104014"}
    answers = []

    in_threads(
        TIMES,
        lambda number: answers.append(
            api[number].post("/api/v1/conversion-rules/", rule)
        ),
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: TIMES - 1}
    assert ConversionRule.objects.count() == recorded("rule_created") == 1


@pytest.mark.covers("F58")
def test_rules_that_are_imported_20_times_at_once_are_there_once(
    web, company, connected
) -> None:
    Connection.objects.update(ad_account_id="512345678")
    web.post(reverse("rule_import"), {"read": "1"})

    answers = post_at_once(
        web,
        reverse("rule_import"),
        {"event_104012": "lead_qualified", "event_104014": "deal_won"},
    )

    assert sorted(ConversionRule.objects.values_list("crm_event", "linkedin_id")) == [
        ("deal_won", "104014"), ("lead_qualified", "104012"),
    ]  # fmt: skip
    assert recorded("rule_created") == 2
    # A request that comes after the first has ended is offered nothing to choose from.
    assert set(where_to(answers)) <= {"/integrations/linkedin/#map", "200"}


@pytest.mark.covers("F58")
def test_a_token_that_is_saved_20_times_lets_go_what_was_held_once(
    web, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 50)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")
    before, mark = connected.token_version, connected.token_fingerprint

    answers = post_at_once(give_password(web), reverse("token_save"), {"token": TOKEN})

    after = Connection.objects.get()
    assert where_to(answers) == {reverse("linkedin"): TIMES}
    assert (after.token_version, after.is_paused, after.token_fingerprint) == (
        before + TIMES,
        False,
        mark,
    )
    send_all(company)
    assert requests_made(sandbox) == [200]
    assert broken(books(sandbox)) == []


@pytest.mark.parametrize(
    ("verb", "state", "reason"),
    [("retry", "exhausted", "timed_out"), ("cancel", "pending", "")],
)
@pytest.mark.covers("F58")
def test_events_that_are_retried_or_cancelled_20_times_at_once_are_so_once(
    verb, state, reason, web, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 5)
    if state == "exhausted":
        ConversionEvent.objects.update(
            state=state,
            reason=reason,
            next_attempt_at=None,
            settled_at=Now(),
            once_key=None,
        )
    pks = ConversionEvent.objects.values_list("pk", flat=True)
    path = (
        reverse(f"events_{verb}") + "?ticked&" + "&".join(f"event={pk}" for pk in pks)
    )

    answers = post_at_once(web, path)

    assert where_to(answers) == {reverse("events"): TIMES}
    assert (
        sum(entry.details["events"] for entry in AuditEntry.objects.filter(action=verb))
        == 5
    )
    send_all(company)
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("accepted", 1) if verb == "retry" else ("cancelled", 0)
    }
    assert requests_made(sandbox) == ([200] if verb == "retry" else [])
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F58")
def test_a_backfill_that_is_started_20_times_at_once_runs_once(
    web, company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 50)
    rule = make_rule()

    answers = post_at_once(
        web, reverse("backfill_plan"), {"rule": rule.pk, "period": 30}
    )

    backfill = Backfill.objects.get()
    assert recorded("backfill_started") == 1
    assert where_to(answers) == {
        backfill.get_absolute_url(): 1,
        reverse("backfills"): TIMES - 1,
    }
    send_all(company)
    assert requests_made(sandbox) == [200]
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("accepted", 1)
    }
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F58")
def test_play_pressed_20_times_at_once_sends_no_more_tests_than_a_minute_allows(
    web, company, connected, sandbox, make_rule, settings, one_minute
) -> None:
    settings.TEST_EVENTS_PER_MINUTE = 5
    rule = make_rule()
    make_lead(company)

    answers = post_at_once(web, reverse("rule_test", args=[rule.pk]))

    tests = ConversionEvent.objects.filter(is_test=True)
    assert tests.count() == recorded("test_sent") == 5
    assert where_to(answers) == {
        **{event.get_absolute_url(): 1 for event in tests}, reverse("linkedin") + "#map": TIMES - 5,
    }  # fmt: skip
    send_all(company)
    assert len(received(sandbox)) == 6
    assert tests.filter(state="accepted", attempts=1).count() == 5
