"""Play on the LinkedIn page sends one test event, and its result appears in the rule's row."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from capi import services
from capi.models import SWEEP, ConversionEvent, Heartbeat
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


def test_play_answers_with_a_part_that_asks_for_its_result(
    web, connected, make_rule
) -> None:
    rule = make_rule()

    page = web.post(reverse("rule_test", args=[rule.pk]), headers=HTMX).content.decode()

    event = ConversionEvent.objects.get()
    assert (event.is_test, event.rule, event.state) == (True, rule, "pending")
    assert (
        f'hx-get="{reverse("test_result", args=[event.pk])}?shown=queued" hx-trigger="every 500ms"'
        in page
    )
    assert "<html" not in page


def test_there_is_no_content_while_the_page_shows_how_far_the_test_is(
    web, connected, make_rule
) -> None:
    event = play(web, make_rule())

    answer = result(web, event, "?shown=queued")

    assert (answer.status_code, answer.content) == (204, b"")


def test_a_result_takes_the_place_of_the_rules_and_brings_the_rest_up_to_date(
    web, company, connected, make_rule
) -> None:
    rule, other = make_rule(pk=1_234_567), make_rule("deal_won", "104013")
    event = play(web, rule)
    send_all(company)

    answer = result(web, event)

    part = answer.content.decode()
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#map", "outerHTML")
    assert "Sent</a><small>Test, <time" in part
    assert '<header class="card-head" id="verify-head" hx-swap-oob="true">' in part
    assert "1 of 2 working" in part
    assert f"Test of {rule.name}: Sent." in part
    assert "Nothing sent so far" in part.split(f'id="rule-{other.pk}"')[1]
    assert "hx-trigger" not in part


@pytest.mark.parametrize(
    ("linkedin_id", "token", "told"),
    [
        ("404404", TOKEN, "1 paused"),
        ("404404", TOKEN, "Paused 404"),
        ("104012", "AQV-this-one-is-revoked", '<span class="badge bad">Refused</span>'),
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


def test_a_refused_test_says_why_in_plain_words_and_in_linkedins(
    web, company, connected, make_rule
) -> None:
    event = play(web, make_rule(linkedin_id="404404"))
    send_all(company)

    part = result(web, event).content.decode()

    assert 'class="failure" open' in part
    assert f'id="last-test-{event.rule_id}"' in part
    assert "LinkedIn says 404: there is no conversion rule with this id." in part
    assert "Could not find entity" in part


def waited(event, connected, *, seconds: int, **lane) -> None:
    """As if the button had been pressed so long ago, with the lane in this state."""
    at = Now() - timedelta(seconds=seconds)
    ConversionEvent.objects.filter(pk=event.pk).update(created_at=at)
    times = (
        {"leased_until": Now() + timedelta(seconds=60), "request_started_at": at}
        if lane.get("is_asking")
        else {}
    )
    type(connected).objects.update(**times)


def test_no_worker_is_said_only_where_none_has_shown_a_sign_of_life(
    web, connected, make_rule
) -> None:
    event = play(web, make_rule())
    waited(event, connected, seconds=11)

    without = result(web, event).content.decode()
    Heartbeat.objects.beat(SWEEP)
    with_one = result(web, event).content.decode()

    assert "No worker is running" in without
    assert 'hx-trigger="every 3s"' in without
    assert "No worker" not in with_one
    assert "Queued" in with_one


def test_a_silent_linkedin_is_waited_for_aloud_every_ten_seconds(
    web, connected, make_rule
) -> None:
    event = play(web, make_rule())

    waited(event, connected, seconds=5, is_asking=True)
    early = result(web, event).content.decode()
    waited(event, connected, seconds=14, is_asking=True)
    first, again = result(web, event), result(web, event, "?shown=silent-10")
    waited(event, connected, seconds=31, is_asking=True)
    later = result(web, event, "?shown=silent-10").content.decode()

    assert "Sending" in early
    assert (
        "LinkedIn has not answered for 10 s<small>We wait up to 45 s</small>"
        in first.content.decode()
    )
    assert again.status_code == 204
    assert "LinkedIn has not answered for 30 s" in later


def test_a_test_behind_another_says_whose(web, connected, make_rule) -> None:
    play(web, make_rule(name="New lead"))
    event = play(web, make_rule("deal_won", "104013"))

    waited(event, connected, seconds=14, is_asking=True)

    assert "Waits behind the test of New lead" in result(web, event).content.decode()


def test_a_test_on_its_way_is_followed_after_a_reload_too(
    web, connected, make_rule
) -> None:
    event = play(web, make_rule())

    page = web.get(reverse("linkedin")).content.decode()

    assert f'hx-get="{reverse("test_result", args=[event.pk])}?shown=queued"' in page


def test_without_a_token_it_says_so_and_sends_nothing(web, make_rule) -> None:
    rule = make_rule()

    part = web.post(reverse("rule_test", args=[rule.pk]), headers=HTMX).content.decode()

    assert "Save an access token in step 1 first, then press play again." in part
    assert not ConversionEvent.objects.exists()


def test_without_a_token_and_without_javascript_the_page_says_so(
    web, make_rule
) -> None:
    rule = make_rule()

    page = web.post(reverse("rule_test", args=[rule.pk]), follow=True)

    assert (
        "Save an access token in step 1 first, then press play again."
        in page.content.decode()
    )
    assert not ConversionEvent.objects.exists()


def test_without_javascript_play_leads_to_the_events_page_which_refreshes(
    web, connected, make_rule
) -> None:
    rule = make_rule()

    answer = web.post(reverse("rule_test", args=[rule.pk]))

    event = ConversionEvent.objects.get()
    assert answer.url == event.get_absolute_url()
    assert (
        '<meta http-equiv="refresh" content="3">'
        in web.get(answer.url).content.decode()
    )


def test_a_result_asked_for_without_htmx_leads_to_the_events_page(
    web, connected, make_rule
) -> None:
    event = play(web, make_rule())

    answer = web.get(reverse("test_result", args=[event.pk]))

    assert answer.url == event.get_absolute_url()
