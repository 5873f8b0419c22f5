"""The doctor's card on the LinkedIn page: the button, and what the last check-up found."""

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from capi import services
from capi.diagnostics.findings import Check, Finding, Level, as_json
from capi.models import Checkup, Connection, Heartbeat
from capi.views import connection
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db

PAGE, CHECK = reverse("linkedin"), reverse("check")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def token(company) -> Connection:
    return services.save_token(company=company, token=TOKEN, ad_account_id="512345678")


def card(answer) -> str:
    return answer.content.decode().split('id="doctor"')[1].split("</section>")[0]


def test_before_set_up_begins_it_leaves_the_steps_to_the_page(client_as, admin) -> None:
    page = card(client_as(admin).get(PAGE))

    assert "not everything has been checked yet" in page
    assert "No access token is saved." not in page
    assert 'class="tone wait"' not in page
    assert reverse("check") in page


def test_before_the_first_check_up_it_shows_what_is_at_hand(
    client_as, admin, token
) -> None:
    page = card(client_as(admin).get(PAGE))

    assert "not everything has been checked yet" in page
    assert "Active rules" in page
    assert 'class="tone wait"' in page


def test_the_button_checks_everything_and_keeps_it(
    client_as, ops, company, sandbox, token, make_rule
) -> None:
    make_rule("deal_won", "400401")
    web = client_as(ops)

    answer = web.post(CHECK)
    page = card(web.get(PAGE))

    assert answer.url == f"{PAGE}#doctor"
    assert len(Checkup.objects.get(company=company).findings) == 16
    assert " OK, 2 things to fix, " in page
    assert "Switched off in Campaign Manager: Deal won (400401)." in page
    assert "No worker has ever checked for due events." in page


def test_htmx_gets_the_card_and_a_sentence_to_read_out(
    client_as, admin, sandbox, token
) -> None:
    answer = client_as(admin).post(CHECK, headers=HTMX).content.decode()

    assert answer.startswith('<section class="card doctor" id="doctor">')
    assert '<p id="linkedin-says" hx-swap-oob="innerHTML">' in answer
    assert "<html" not in answer
    assert "Go there" in answer


def test_what_is_at_hand_is_told_as_it_stands_now_and_not_as_it_was(
    client_as, admin, company, token
) -> None:
    was = [
        Finding(Check.TOKEN, Level.RED, "It was refused then."),
        Finding(Check.LEADS, Level.AMBER, "As it was."),
    ]
    Checkup.objects.create(company=company, findings=as_json(was))

    page = card(client_as(admin).get(PAGE))

    assert "It was refused then." not in page
    assert "Saved and readable" in page
    assert "As it was." in page


def test_what_linkedin_said_of_an_earlier_token_is_not_repeated(
    client_as, admin, company
) -> None:
    was = [Finding(Check.AT_LINKEDIN, Level.RED, "LinkedIn refused it.")]
    Checkup.objects.create(company=company, findings=as_json(was))
    web = client_as(admin)
    before = card(web.get(PAGE))

    services.save_token(company=company, token=TOKEN)

    assert "LinkedIn refused it." in before
    assert "LinkedIn refused it." not in card(web.get(PAGE))


def test_one_company_never_sees_anothers_check_up(
    client_as, admin, other_company
) -> None:
    Checkup.objects.create(
        company=other_company,
        findings=as_json([Finding(Check.LEADS, Level.AMBER, "Contoso's.")]),
    )

    assert "Contoso's." not in card(client_as(admin).get(PAGE))


def test_ten_a_minute_are_enough_and_the_next_says_so(
    client_as, admin, monkeypatch, company, one_minute
) -> None:
    monkeypatch.setattr(connection, "CHECKS_PER_MINUTE", 1)
    web = client_as(admin)

    answers = [web.post(CHECK, headers=HTMX).content.decode() for _ in range(2)]
    page = web.post(CHECK, follow=True).content.decode()

    assert "Your company may do this 1 times a minute." not in answers[0]
    assert "Your company may do this 1 times a minute." in answers[1]
    assert "Your company may do this 1 times a minute." in page


def test_sales_may_not_ask_and_nothing_is_kept(client_as, sales) -> None:
    answer = client_as(sales).post(CHECK)

    assert answer.status_code == 403
    assert not Checkup.objects.exists()


def test_all_is_well_is_one_folded_line(
    client_as, admin, company, sandbox, token, make_rule
) -> None:
    rule, web = make_rule("deal_won", "104014"), client_as(admin)
    Heartbeat.objects.beat("sweep")
    rule.events.create(
        company=company,
        state="accepted",
        settled_at=token.token_saved_at - timedelta(minutes=1),
    )
    web.post(CHECK)
    Checkup.objects.update(
        findings=[
            each for each in Checkup.objects.get().findings if each["check"] != "leads"
        ]
    )

    page = card(web.get(PAGE))

    assert "All 15 checks OK · checked <time" in page
    assert "<details open" not in page


def test_it_opens_at_what_is_wrong(client_as, admin, sandbox, token, make_rule) -> None:
    make_rule("deal_won", "104014")
    web = client_as(admin)
    web.post(CHECK)

    seen, _, fine = card(web.get(PAGE)).partition('id="what-is-fine"')

    assert "<details open" in seen
    assert "No worker has ever checked for due events." in seen
    assert "Needs fixing" in seen
    assert "Saved and readable, fingerprint" in fine
    assert "<strong>Clock</strong>" in fine


def test_what_the_banner_says_of_events_on_hold_it_only_names(
    client_as, admin, company, sandbox, make_rule
) -> None:
    rule = make_rule()
    services.save_token(company=company, token=TOKEN)
    web = client_as(admin)
    web.post(CHECK)
    rule.events.create(company=company)

    services.remove_token(company=company)
    page = web.get(PAGE).content.decode()

    above, below = page.split('id="doctor"')
    assert "1 event is on hold" in above
    assert "1 is on hold." not in below
    assert "Events on hold" in below.split("Shown above:")[1]


def test_ops_staff_are_told_to_ask_an_admin_for_what_they_cannot_do(
    client_as, admin, ops, company, token, make_rule
) -> None:
    make_rule(is_paused=True, paused_reason="rule_forbidden")

    admins, theirs = (
        client_as(member).get(PAGE).content.decode() for member in (admin, ops)
    )

    assert "Then edit or resume the rule." in admins
    assert "Ask an admin to compare" not in admins
    assert "Then edit or resume the rule." not in theirs
    assert "Ask an admin to compare the rule id with Campaign Manager" in theirs


def test_what_was_found_earlier_is_dated(client_as, admin, company, token) -> None:
    Checkup.objects.create(
        company=company,
        findings=as_json([Finding(Check.LEADS, Level.AMBER, "As it was.")]),
    )
    Checkup.objects.update(ran_at=Now() - timedelta(hours=5))

    page = card(client_as(admin).get(PAGE))

    assert re.search(
        r"As it was\. <span class=\"muted\">\(<time [^>]+>5\xa0h ago</time>\)", page
    )


def test_what_a_check_up_heard_of_the_rules_is_kept_with_them(
    client_as, admin, sandbox, token, make_rule
) -> None:
    listed, unknown = make_rule("deal_won", "104014"), make_rule("deal_lost", "999")

    client_as(admin).post(CHECK)

    listed.refresh_from_db()
    unknown.refresh_from_db()
    assert (listed.linkedin_method, listed.linkedin_enabled) == (
        "CONVERSIONS_API",
        True,
    )
    assert unknown.linkedin_read_at is None
