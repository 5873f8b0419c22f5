"""Messages as toasts: they appear where something happened, and push nothing down."""

import uuid

import pytest
from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.template.loader import render_to_string
from playwright.sync_api import Page, expect

from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

# The tag of a message with an undo, for a change that LinkedIn is told in 30 seconds.
UNDO = f"undo:30:/undo/{uuid.uuid4()}/"


@pytest.fixture
def toast(page: Page, sales, company):
    """The toast on a long list after a change of status."""
    for number in range(20):
        make_lead(company, first_name=f"Lead {number}")
    make_lead(company, first_name="Ada", last_name="Byron")
    sign_in(page, sales)
    page.clock.install()
    page.goto(page.server_url + "/leads/")
    page.get_by_label("Status of Ada Byron").select_option("Qualified")
    toast = page.locator("#messages .note")
    expect(toast).to_contain_text("Ada Byron is now Qualified.")
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    return toast


def pass_seconds(page: Page, seconds: int) -> None:
    page.clock.run_for(seconds * 1000)


def add_toast(page: Page, *, tone: str = "success", tags: str = "") -> None:
    """Add a toast as an htmx response would."""
    message = Message(
        constants.DEFAULT_LEVELS[tone.upper()], "Ada is now Qualified.", extra_tags=tags
    )
    html = render_to_string("_parts/messages.html", {"messages": [message]})
    page.evaluate(
        "html => document.getElementById('messages').insertAdjacentHTML('beforeend', html)",
        html,
    )


def test_a_toast_stays_eight_seconds_and_longer_while_it_is_pointed_at(
    page: Page, toast
):
    pass_seconds(page, 6)
    expect(toast).to_be_visible()

    toast.hover()
    pass_seconds(page, 20)
    expect(toast).to_be_visible()

    page.mouse.move(0, 0)
    pass_seconds(page, 3)
    expect(toast).to_have_count(0)


def test_a_toast_with_the_focus_stays_even_if_others_come(page: Page, toast):
    toast.get_by_role("button", name="Undo").focus()
    for _ in range(4):
        add_toast(page)
    pass_seconds(page, 60)

    expect(toast).to_have_count(1)
    expect(toast.get_by_role("button", name="Undo")).to_be_focused()


def test_a_toast_is_dismissed_and_the_focus_is_not_lost(page: Page, toast):
    page.get_by_role("button", name="Dismiss").focus()
    page.keyboard.press("Enter")

    expect(toast).to_have_count(0)
    expect(page.locator("#main")).to_be_focused()


def test_an_error_stays_until_it_is_dismissed(page: Page, toast):
    page.refusals.add(500)
    page.route("**/status/", lambda route: route.fulfill(status=500))
    page.get_by_label("Status of Ada Byron").select_option("Contacted")
    error = page.get_by_text("That did not work and nothing was changed.")
    expect(error).to_be_visible()

    pass_seconds(page, 60)

    expect(error).to_be_visible()
    expect(toast).to_have_count(1)


def test_a_toast_with_undo_counts_down_to_when_linkedin_is_told(page: Page, toast):
    add_toast(page, tags=UNDO)
    last = toast.last
    expect(last.get_by_role("button", name="Undo")).to_be_visible()
    expect(last.locator(".countdown")).to_have_attribute("data-left", "30")

    pass_seconds(page, 20)
    expect(toast).to_have_count(1)
    expect(last.locator(".countdown")).to_have_attribute("data-left", "10")

    pass_seconds(page, 11)
    expect(toast).to_have_count(0)


@pytest.mark.sized
def test_toasts_are_readable_for_everybody(page: Page, sales):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")
    for tone in ("success", "warning", "error"):
        add_toast(page, tone=tone, tags=UNDO)

    assert_fit_to_use_in_each_look(page)


def test_toasts_stand_above_the_bar_for_many_and_the_tabs_of_a_phone(page: Page, toast):
    for size in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
        page.set_viewport_size(size)
        page.get_by_label("Select Ada Byron").check()
        below = page.locator(".bulk-bar").bounding_box()["y"]

        box = toast.bounding_box()

        assert box["y"] + box["height"] <= below
    page.get_by_label("Select Ada Byron").uncheck()
    tabs = page.get_by_role("navigation", name="Main").bounding_box()["y"]
    assert toast.bounding_box()["y"] + toast.bounding_box()["height"] <= tabs


def test_three_toasts_are_shown_at_most(page: Page, toast):
    for _ in range(4):
        add_toast(page)

    expect(toast).to_have_count(3)


class TestWithoutJavaScript:
    @pytest.fixture
    def browser_context_args(self, browser_context_args):
        return {**browser_context_args, "java_script_enabled": False}

    def test_messages_are_notes_in_the_page(self, page: Page, sales, company):
        lead = make_lead(company, first_name="Ada", last_name="Byron")
        sign_in(page, sales)
        page.goto(f"{page.server_url}/leads/{lead.pk}/")

        page.get_by_label("Status of Ada Byron").select_option("Qualified")
        page.get_by_role("button", name="Save").click()

        note = page.locator("#messages .note")
        expect(note).to_contain_text("Ada Byron is now Qualified.")
        assert (
            note.evaluate("note => getComputedStyle(note.parentElement).position")
            == "static"
        )


def test_an_error_that_comes_again_is_shown_once(page: Page, toast):
    for name in ("sendError", "sendError", "responseError", "sendError"):
        page.evaluate(
            """name => document.dispatchEvent(
                new CustomEvent(`htmx:${name}`, {detail: {
                    xhr: {responseText: "", status: 500}, requestConfig: {verb: "post"}}}))""",
            name,
        )

    expect(page.locator("#messages .note.bad")).to_have_text(
        ["That did not work and nothing was changed. Reload the page and try again.",
         "The server could not be reached. Check your connection and try again."]
    )  # fmt: skip
