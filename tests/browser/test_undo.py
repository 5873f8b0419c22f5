"""Undo in a real browser, checked against the receiver's ledger: what is taken back in time is never received."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from playwright.sync_api import Page, expect

from capi.models import ConversionEvent
from crm.models import CrmEvent, Deal, Lead, LeadStatus
from tests.browser.test_deal_board import drag
from tests.capi.conftest import received, send_all
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = "in (30|2[5-9]) s"
TOLD = re.compile(rf"Sends to LinkedIn {SECONDS}\.")


@pytest.fixture
def leads(page: Page, sales, company, connected, make_rule) -> list[Lead]:
    for number, kind in enumerate(("lead_qualified", "deal_won"), 104_012):
        make_rule(kind, str(number))
    company.grace_seconds = 30
    company.save()
    leads = [
        make_lead(company, first_name=name, email=f"{name.lower()}@example.com")
        for name in ("Ada", "Bob", "Eve")
    ]
    sign_in(page, sales)
    return leads


@pytest.fixture
def deal(leads) -> Deal:
    return make_deal(leads[0])


def pass_grace() -> None:
    CrmEvent.objects.update(release_at=F("release_at") - timedelta(seconds=60))
    ConversionEvent.objects.pending().update(next_attempt_at=Now())


def sent_after_grace(company, sandbox) -> int:
    pass_grace()
    send_all(company)
    return len(received(sandbox))


def undo(page: Page) -> None:
    page.locator("#messages").get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#messages")).to_contain_text("Undone:")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    expect(page.locator("#main")).to_be_focused()


PRESS_AT_ONCE = """() => {
  const press = () => document.querySelector("#messages .note:not(.bad) button:not(.close)")?.click();
  new MutationObserver(() => queueMicrotask(press)).observe(document.getElementById("messages"), { childList: true });
  window.isSamePage = true;
}"""


def choose_in_the_list(page: Page) -> None:
    page.goto(page.server_url + "/leads/")
    page.get_by_label("Status of Ada").select_option("Qualified")


def choose_by_keyboard_on_the_page(page: Page) -> None:
    page.goto(page.server_url + Lead.objects.get(first_name="Ada").get_absolute_url())
    page.get_by_label(re.compile("^Status")).focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)


def choose_for_many(page: Page) -> None:
    page.goto(page.server_url + "/leads/")
    for name in ("Ada", "Bob", "Eve"):
        page.get_by_label(f"Select {name}").check()
    page.get_by_label("New status of the selected leads").select_option("Qualified")
    page.get_by_role("button", name="Set status").click()
    page.get_by_role("button", name="Set status and send 3").click()


@pytest.mark.parametrize(
    "change", [choose_in_the_list, choose_by_keyboard_on_the_page, choose_for_many]
)
def test_a_status_that_is_undone_is_never_received(
    change: Callable[[Page], None], page: Page, leads, company, sandbox
) -> None:
    change(page)
    expect(page.locator("#messages")).to_contain_text(re.compile(rf"{SECONDS}\."))

    undo(page)

    assert set(Lead.objects.values_list("status__name", flat=True)) == {"New"}
    assert sent_after_grace(company, sandbox) == 0


@pytest.mark.parametrize("change", [choose_in_the_list, choose_for_many])
def test_ctrl_z_on_the_next_page_undoes_the_last_change(
    change: Callable[[Page], None], page: Page, leads, company, sandbox
) -> None:
    change(page)
    expect(page.locator("#messages")).to_contain_text(re.compile(rf"{SECONDS}\."))

    page.goto(page.server_url + "/deals/list/")
    expect(page.locator("#messages .countdown")).to_be_visible()
    page.keyboard.press("Control+z")

    expect(page.locator("#messages")).to_contain_text("Undone:")
    assert set(Lead.objects.values_list("status__name", flat=True)) == {"New"}
    assert sent_after_grace(company, sandbox) == 0


def test_an_undo_that_is_pressed_as_soon_as_it_is_there_leaves_the_page_and_its_focus(
    page: Page, leads
) -> None:
    page.goto(page.server_url + "/leads/")
    page.evaluate(PRESS_AT_ONCE)

    page.get_by_label("Status of Ada").select_option("Qualified")

    expect(page.locator("#messages")).to_contain_text("Undone:")
    expect(page.locator("#main")).to_be_focused()
    assert page.evaluate("window.isSamePage")


def test_a_card_that_was_dragged_to_won_goes_back(
    page: Page, deal, company, sandbox
) -> None:
    page.goto(page.server_url + "/deals/")
    drag(page, deal, "Won")
    expect(page.locator("#messages")).to_contain_text(TOLD)

    undo(page)

    deal.refresh_from_db()
    assert deal.stage.name == "Discovery"
    expect(page.get_by_role("region", name="Discovery", exact=True)).to_contain_text(
        deal.title
    )
    assert sent_after_grace(company, sandbox) == 0


def test_ctrl_z_undoes_a_move_by_keyboard_and_the_card_keeps_the_focus(
    page: Page, deal, company, sandbox
) -> None:
    page.goto(page.server_url + "/deals/")
    stage = page.locator(f"#stage-{deal.pk}")
    stage.focus()
    for key in ("w", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("status").filter(has_text=TOLD)).to_contain_text(
        "Ctrl+Z undoes this."
    )
    expect(stage).to_be_focused()

    page.keyboard.press("Control+z")

    expect(page.locator("#messages")).to_contain_text("Undone:")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    expect(stage).to_be_focused()
    deal.refresh_from_db()
    assert deal.stage.name == "Discovery"
    assert sent_after_grace(company, sandbox) == 0


@pytest.mark.parametrize("key", ["Enter", "Control+z"])
def test_a_change_that_waits_can_be_undone_in_the_history_of_a_later_page(
    page: Page, leads, company, sandbox, key: str
) -> None:
    choose_in_the_list(page)
    expect(page.locator("#messages")).to_contain_text(TOLD)
    page.goto(page.server_url + "/tasks/")
    page.goto(page.server_url + leads[0].get_absolute_url())
    button = page.locator(".timeline").get_by_role("button", name="Undo", exact=True)
    expect(button).to_have_count(1)
    expect(page.locator(".timeline")).to_contain_text("Until then, the change can be")
    if key == "Enter":
        button.focus()

    page.keyboard.press(key)

    expect(page.locator("#messages")).to_contain_text("Undone:")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    assert Lead.objects.get(first_name="Ada").status.name == "New"
    assert sent_after_grace(company, sandbox) == 0


def test_an_undo_in_the_history_takes_its_toast_with_it(page: Page, leads) -> None:
    choose_by_keyboard_on_the_page(page)
    expect(page.locator("#messages")).to_contain_text(TOLD)

    page.locator(".timeline").get_by_role("button", name="Undo").click()

    expect(page.locator("#messages .note")).to_have_count(1)
    expect(page.locator("#messages")).to_contain_text("Undone:")


def test_ctrl_z_in_a_text_field_is_left_to_the_text(page: Page, leads) -> None:
    choose_in_the_list(page)
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.locator("#search").press_sequentially("Ad")

    page.keyboard.press("Control+z")

    expect(page.locator("#search")).not_to_have_value("Ad")
    page.wait_for_load_state("networkidle")
    assert Lead.objects.get(first_name="Ada").status.name == "Qualified"


def test_a_status_that_is_set_back_is_never_received_and_the_history_says_so(
    page: Page, leads, company, sandbox
) -> None:
    choose_in_the_list(page)
    expect(page.locator("#messages")).to_contain_text(TOLD)
    page.get_by_label("Status of Ada").select_option("New")
    expect(page.locator("#messages")).to_contain_text("Ada is now New.")

    assert sent_after_grace(company, sandbox) == 0
    page.goto(page.server_url + leads[0].get_absolute_url())
    expect(page.locator(".timeline")).to_contain_text("Lead qualified (taken back)")


def test_undo_after_the_grace_period_names_what_has_been_sent(
    page: Page, leads, company, sandbox
) -> None:
    choose_in_the_list(page)
    button = page.get_by_role("button", name="Undo")
    expect(button).to_be_visible()
    assert sent_after_grace(company, sandbox) == 1

    button.click()

    expect(page.locator("#messages")).to_contain_text(
        "“Lead qualified” had already been sent to LinkedIn."
    )
    assert Lead.objects.get(first_name="Ada").status.name == "New"


def test_undo_while_sending_is_paused_stops_what_was_on_hold(
    page: Page, leads, company, connected, sandbox
) -> None:
    type(connected).objects.update(is_paused=True)
    choose_in_the_list(page)
    expect(page.locator("#messages")).to_contain_text(
        "Sends to LinkedIn once sending continues."
    )
    pass_grace()

    undo(page)

    type(connected).objects.update(is_paused=False)
    assert sent_after_grace(company, sandbox) == 0


def test_undo_leaves_what_a_colleague_has_changed_since(
    page: Page, leads, company
) -> None:
    choose_in_the_list(page)
    button = page.get_by_role("button", name="Undo")
    expect(button).to_be_visible()
    Lead.objects.filter(first_name="Ada").update(
        status=LeadStatus.objects.get(company=company, name="Contacted")
    )

    button.click()

    expect(page.locator("#messages")).to_contain_text(
        "Not undone: Ada has been changed since."
    )
    assert Lead.objects.get(first_name="Ada").status.name == "Contacted"
