"""Step 3 on the LinkedIn page: play sends one test event, and its result appears beside the rule."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from capi import services
from capi.models import ConversionEvent
from tests.capi.conftest import send_all
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HX-Request": "true"}


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


def play(web, rule) -> ConversionEvent:
    web.post(reverse("rule_test", args=[rule.pk]), headers=HTMX)
    return ConversionEvent.objects.order_by("-pk").first()


def result(web, event, query: str = ""):
    return web.get(reverse("test_result", args=[event.pk]) + query, headers=HTMX)


def test_play_answers_with_a_part_that_asks_for_its_result(web, connected, make_rule) -> None:
    rule = make_rule()

    page = web.post(reverse("rule_test", args=[rule.pk]), headers=HTMX).content.decode()

    event = ConversionEvent.objects.get()
    assert (event.is_test, event.rule, event.state) == (True, rule, "pending")
    assert f'hx-get="{reverse("test_result", args=[event.pk])}" hx-trigger="every 500ms"' in page
    assert "<html" not in page


def test_there_is_no_content_while_the_test_is_on_its_way(web, connected, make_rule) -> None:
    event = play(web, make_rule())

    answer = result(web, event)

    assert (answer.status_code, answer.content) == (204, b"")


def test_an_accepted_test_says_sent_and_asks_no_more(web, company, connected, make_rule) -> None:
    event = play(web, make_rule())
    send_all(company)

    part = result(web, event).content.decode()

    assert "Sent." in part
    assert "Campaign Manager may take 24 hours" in part
    assert "hx-trigger" not in part


def test_a_result_brings_the_rest_of_the_page_up_to_date(web, company, connected, make_rule) -> None:
    rule, other = make_rule(pk=1_234_567), make_rule("deal_won", "104013")
    event = play(web, rule)
    send_all(company)

    part = result(web, event).content.decode()

    assert f'<span id="tested-{rule.pk}" hx-swap-oob="true">' in part
    assert '<header class="card-head" id="verify-head" hx-swap-oob="true">' in part
    assert "1 of 2 working" in part
    assert "Sent</a></span>" in part
    assert f'<span id="tested-{other.pk}" hx-swap-oob="true"><span class="badge">Not tested</span></span>' in part


@pytest.mark.parametrize(
    ("linkedin_id", "token", "told"),
    [
        ("404404", TOKEN, "1 of 5 mapped, 1 paused"),
        ("404404", TOKEN, "Paused 404"),
        ("104012", "AQV-this-one-is-revoked", '<span class="badge bad">On hold</span>'),
        ("104012", "AQV-this-one-is-revoked", "Sending is paused."),
    ],
)
def test_a_result_that_pauses_something_shows_it_without_a_second_alert(
    web, company, connected, make_rule, linkedin_id, token, told
) -> None:
    services.save_token(company=company, token=token)
    event = play(web, make_rule(linkedin_id=linkedin_id))
    send_all(company)

    part = result(web, event).content.decode()

    assert told in part
    assert 'role="alert"' not in part
    assert 'name="token"' not in part


def test_a_refused_test_says_why_in_plain_words_and_in_linkedins(web, company, connected, make_rule) -> None:
    event = play(web, make_rule(linkedin_id="404404"))
    send_all(company)

    part = result(web, event).content.decode()

    assert "Rejected." in part
    assert "LinkedIn says 404: there is no conversion rule with this id." in part
    assert "Could not find entity" in part
    assert "hx-trigger" not in part


def test_a_test_that_no_worker_takes_is_said_once_and_asked_for_more_slowly(web, connected, make_rule) -> None:
    event = play(web, make_rule())
    ConversionEvent.objects.update(created_at=Now() - timedelta(seconds=11))

    first, later = result(web, event), result(web, event, "?slow=1")

    assert "No worker has picked the test up yet." in first.content.decode()
    assert f'hx-get="{reverse("test_result", args=[event.pk])}?slow=1" hx-trigger="every 3s"' in first.content.decode()
    assert later.status_code == 204


def test_without_a_token_it_says_so_and_sends_nothing(web, make_rule) -> None:
    rule = make_rule()

    part = web.post(reverse("rule_test", args=[rule.pk]), headers=HTMX).content.decode()

    assert "Save an access token in step 1 first, then press play again." in part
    assert not ConversionEvent.objects.exists()


def test_without_a_token_and_without_javascript_the_page_says_so(web, make_rule) -> None:
    rule = make_rule()

    page = web.post(reverse("rule_test", args=[rule.pk]), follow=True)

    assert "Save an access token in step 1 first, then press play again." in page.content.decode()
    assert not ConversionEvent.objects.exists()


def test_without_javascript_play_leads_to_the_events_page_which_refreshes(web, connected, make_rule) -> None:
    rule = make_rule()

    answer = web.post(reverse("rule_test", args=[rule.pk]))

    event = ConversionEvent.objects.get()
    assert answer.url == event.get_absolute_url()
    assert '<meta http-equiv="refresh" content="3">' in web.get(answer.url).content.decode()


def test_a_result_asked_for_without_htmx_leads_to_the_events_page(web, connected, make_rule) -> None:
    event = play(web, make_rule())

    answer = web.get(reverse("test_result", args=[event.pk]))

    assert answer.url == event.get_absolute_url()
