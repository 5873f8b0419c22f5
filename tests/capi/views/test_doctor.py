"""The doctor's card on the LinkedIn page: the button, and what the last check-up found."""

from datetime import timedelta

import pytest
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


def test_before_the_first_check_up_it_tells_what_is_at_hand(client_as, admin) -> None:
    page = card(client_as(admin).get(PAGE))

    assert "Not everything was checked yet. So far: 3 to check, 1 unknown." in page
    assert "No access token is saved." in page
    assert reverse("check") in page


def test_the_button_checks_everything_and_keeps_it(client_as, ops, company, sandbox, token, make_rule) -> None:
    make_rule("deal_won", "400401")
    web = client_as(ops)

    answer = web.post(CHECK)
    page = card(web.get(PAGE))

    assert answer.url == f"{PAGE}#doctor"
    assert len(Checkup.objects.get(company=company).findings) == 15
    assert ": 2 things to fix, " in page
    assert "Switched off in Campaign Manager: Deal won (400401)." in page
    assert "No worker has ever checked for due events." in page


def test_htmx_gets_the_findings_and_the_sentence_above_them(client_as, admin, sandbox, token) -> None:
    answer = client_as(admin).post(CHECK, headers=HTMX).content.decode()

    assert '<p id="checked" hx-swap-oob="innerHTML">Checked <time' in answer
    assert "<html" not in answer
    assert "Go there" in answer


def test_what_is_at_hand_is_told_as_it_stands_now_and_not_as_it_was(client_as, admin, company, token) -> None:
    was = [Finding(Check.TOKEN, Level.RED, "It was refused then."), Finding(Check.LEADS, Level.AMBER, "As it was.")]
    Checkup.objects.create(company=company, findings=as_json(was))

    page = card(client_as(admin).get(PAGE))

    assert "It was refused then." not in page
    assert "Saved and readable" in page
    assert "As it was." in page


def test_what_linkedin_said_of_an_earlier_token_is_not_repeated(client_as, admin, company) -> None:
    was = [Finding(Check.AT_LINKEDIN, Level.RED, "LinkedIn refused it.")]
    Checkup.objects.create(company=company, findings=as_json(was))
    web = client_as(admin)
    before = card(web.get(PAGE))

    services.save_token(company=company, token=TOKEN)

    assert "LinkedIn refused it." in before
    assert "LinkedIn refused it." not in card(web.get(PAGE))


def test_one_company_never_sees_anothers_check_up(client_as, admin, other_company) -> None:
    Checkup.objects.create(company=other_company, findings=as_json([Finding(Check.LEADS, Level.AMBER, "Contoso's.")]))

    assert "Contoso's." not in card(client_as(admin).get(PAGE))


def test_ten_a_minute_are_enough_and_the_next_says_so(client_as, admin, monkeypatch, company, one_minute) -> None:
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


def test_all_is_well_is_said_in_so_many_words(client_as, admin, company, sandbox, token, make_rule) -> None:
    rule, web = make_rule("deal_won", "104014"), client_as(admin)
    Heartbeat.objects.beat("sweep")
    rule.events.create(company=company, state="accepted", settled_at=token.token_saved_at - timedelta(minutes=1))
    web.post(CHECK)
    Checkup.objects.update(findings=[each for each in Checkup.objects.get().findings if each["check"] != "leads"])

    page = card(web.get(PAGE))

    assert ": everything is OK." in page
    assert "10 other things are fine" in page


def test_the_usual_causes_are_always_to_be_seen(client_as, admin, sandbox, token, make_rule) -> None:
    make_rule("deal_won", "104014")
    web = client_as(admin)
    web.post(CHECK)

    seen, _, folded = card(web.get(PAGE)).partition("<details")

    assert "Needs fixing" in seen  # no worker
    for sentence in (
        "Saved and readable, ending in",
        "Every rule is switched on.",
        "LinkedIn listed Deal won on ",
        "Account 512345678, last confirmed by LinkedIn on ",
    ):
        assert sentence in seen
    assert "<strong>Clock</strong>" in folded


def test_what_a_check_up_heard_of_the_rules_is_kept_with_them(client_as, admin, sandbox, token, make_rule) -> None:
    listed, unknown = make_rule("deal_won", "104014"), make_rule("deal_lost", "999")

    client_as(admin).post(CHECK)

    listed.refresh_from_db()
    unknown.refresh_from_db()
    assert (listed.linkedin_method, listed.linkedin_enabled) == ("CONVERSIONS_API", True)
    assert unknown.linkedin_read_at is None
