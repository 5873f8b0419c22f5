"""Changing all leads that match, in a real browser: from selecting a whole page to the result; axe finds nothing."""

from typing import Any

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from playwright.sync_api import Page, expect

from crm.jobs import rounds, runner
from crm.models import BulkChange, Company, Lead, LeadStatus, Membership, Tag
from crm.services import bulk_changes
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

LIST = reverse("leads")


@pytest.fixture
def leads(company: Company) -> list[Lead]:
    """More than a page of leads from one fair, and some from elsewhere."""
    Tag.objects.create(company=company, name="VIP")
    for number in range(3):
        make_lead(
            company,
            first_name=f"Web {number}",
            email=f"web{number}@example.com",
            source="Website",
        )
    return [
        make_lead(
            company,
            first_name=f"Lead {number:02}",
            email=f"lead{number}@example.com",
            source="Fair",
        )
        for number in range(30)
    ]


def all_of_the_fair(page: Page, member: Membership, size: Any = "desktop") -> None:
    sign_in(page, member)
    open_page(page, f"{LIST}?source=Fair", size)
    page.get_by_label("All on this page").check()


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(
    page: Page,
    admin: Membership,
    leads: list[Lead],
    token: Any,
    make_rule: Any,
    size: Any,
) -> None:
    make_rule("lead_qualified")
    status = LeadStatus.objects.for_company(admin.company).get(name="Qualified")
    made = [
        BulkChange.objects.create(
            company=admin.company, made_by=admin.user, kind="status", target=status.pk, row_count=1204, **fields
        )
        for fields in (
            {"state": "running", "reached": 640, "done": {"changed": 600, "unchanged": 30, "gone": 10}},
            {"state": "waiting"},
            {"state": "done", "reached": 1204, "done": {"changed": 1200, "refused": 4}, "refusals": {"Locked.": 4}},
            {"state": "failed", "reached": 5, "problem": runner.NO_LONGER_ALLOWED},
            {"state": "cancelled", "reached": 5},
        )
    ]  # fmt: skip
    BulkChange.objects.exclude(state__in=("running", "waiting")).update(
        finished_at=Now()
    )
    all_of_the_fair(page, admin, size)
    page.get_by_label("Select all 30 that match").check()
    page.get_by_text("More", exact=True).click()
    assert_fit_to_use(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 30 leads?")).to_be_visible()
    assert_fit_to_use(page)
    question = f"{reverse('bulk_change_new')}?source=Fair&change=status&to={status.pk}"
    for address in (
        question,
        reverse("bulk_changes"),
        *(each.get_absolute_url() for each in made),
    ):
        open_page(page, address, size)
        assert_fit_to_use(page)


@pytest.mark.parametrize("size", SIZES)
def test_from_the_last_tick_to_the_result(
    page: Page,
    sales: Membership,
    leads: list[Lead],
    size: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crm.views.bulk_changes.AT_ONCE", 5)
    monkeypatch.setattr(bulk_changes, "CHUNK", 20)
    all_of_the_fair(page, sales, size)
    page.get_by_label("Select all 30 that match").check()
    page.get_by_label("New status of the selected leads").select_option("Qualified")
    page.get_by_role("button", name="Set status").click()

    expect(page.get_by_text("filtered by source")).to_be_visible()
    page.get_by_role("button", name="Set the status of 30 leads to Qualified").click()
    expect(page.get_by_text("You can leave this page")).to_be_visible()
    asked = BulkChange.objects.get()
    bulk_changes.advance(asked.pk)
    expect(page.locator(".import-reached")).to_have_text("20")
    rounds.work_through(lambda: True)

    expect(page.get_by_role("heading", name="Finished")).to_be_visible()
    expect(page.locator(".import-numbers")).to_contain_text("30")
    assert Lead.objects.filter(status__name="Qualified").count() == 30
    assert Lead.objects.filter(status__name="Qualified", source="Website").count() == 0


def test_all_that_match_are_offered_only_while_all_of_the_page_are_selected(
    page: Page, sales: Membership, leads: list[Lead]
) -> None:
    sign_in(page, sales)
    open_page(page, f"{LIST}?source=Fair")
    every, merge = (
        page.get_by_label("Select all 30 that match"),
        page.get_by_role("button", name="Merge"),
    )
    page.get_by_label("Select Lead 10").check()
    expect(every).to_be_hidden()

    page.get_by_label("All on this page").check()
    every.check()
    expect(page.locator(".selected-count")).to_be_hidden()
    expect(merge).to_be_hidden()
    page.get_by_label("Select Lead 10").uncheck()

    expect(every).to_be_hidden()
    expect(every).not_to_be_checked()
    expect(page.locator(".selected-count")).to_be_visible()
    expect(merge).to_be_visible()


def test_it_works_with_the_keyboard_alone(
    page: Page, admin: Membership, leads: list[Lead]
) -> None:
    sign_in(page, admin)
    open_page(page, f"{LIST}?source=Fair")
    page.get_by_label("All on this page").focus()
    page.keyboard.press("Space")
    every = page.get_by_label("Select all 30 that match")
    every.focus()
    page.keyboard.press("Space")
    expect(every).to_be_checked()

    page.get_by_text("More", exact=True).focus()
    page.keyboard.press("Enter")
    owner = page.get_by_label("New owner of the selected leads")
    page.keyboard.press("Tab")
    expect(owner).to_be_focused()
    page.keyboard.type("Admin")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(
        page.get_by_role("heading", name="Set the owner of 30 leads to Admin Jansen?")
    ).to_be_visible()
    page.get_by_role("button", name="Set the owner of 30 leads").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(
        "30 leads now belong to Admin Jansen."
    )
    assert Lead.objects.filter(owner=admin.user).count() == 30


def test_a_selection_that_is_cleared_is_cleared_of_all(
    page: Page, sales: Membership, leads: list[Lead]
) -> None:
    all_of_the_fair(page, sales)
    page.get_by_label("Select all 30 that match").check()

    page.get_by_role("button", name="Clear the selection").click()
    expect(page.locator(".bulk-bar")).to_be_hidden()
    page.get_by_label("All on this page").check()

    expect(page.get_by_label("Select all 30 that match")).not_to_be_checked()


class TestWithoutJavaScript:
    @pytest.fixture
    def browser_context_args(
        self, browser_context_args: dict[str, Any]
    ) -> dict[str, Any]:
        return {**browser_context_args, "java_script_enabled": False}

    def test_one_tick_offers_all_and_the_progress_reloads(
        self,
        page: Page,
        sales: Membership,
        leads: list[Lead],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("crm.views.bulk_changes.AT_ONCE", 5)
        sign_in(page, sales)
        open_page(page, f"{LIST}?source=Fair")
        page.get_by_label("Select Lead 10").check()
        page.get_by_label("Select all 30 that match").check()
        page.get_by_role("button", name="Add tag").click()
        page.get_by_role("button", name="Add the tag VIP to 30 leads").click()
        expect(page.get_by_text("You can leave this page")).to_be_visible()

        rounds.work_through(lambda: True)

        expect(page.get_by_role("heading", name="Finished")).to_be_visible()
        assert Lead.objects.filter(tags__name="VIP").count() == 30
