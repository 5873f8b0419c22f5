"""The lists of the company settings in a real browser: their order by keys, by a drag and without scripts, and tags."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import Lead, LeadStatus, Tag
from crm.models.tag import add_links
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = "/company/lists/"


def order(page: Page) -> list[str]:
    return page.locator("#statuses .picklist bdi").all_text_contents()


def names(company) -> list[str]:
    return [each.name for each in LeadStatus.objects.for_company(company)]


def test_statuses_are_put_into_order_by_keys_and_by_a_drag(page: Page, admin, company):
    sign_in(page, admin)
    page.goto(page.server_url + LISTS)
    new, contacted = (
        page.get_by_role("button", name=f"Move {name}", exact=True)
        for name in ("New", "Contacted")
    )

    new.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#statuses .picklist bdi").first).to_have_text("Contacted")
    expect(new).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#statuses .picklist bdi").nth(1)).to_have_text("Qualified")
    assert names(company) == ["Contacted", "Qualified", "New", "Unqualified"]

    contacted.hover()
    page.mouse.down()
    last = page.locator("#statuses .picklist > li").last.bounding_box()
    page.mouse.move(last["x"] + 20, last["y"] + last["height"] - 2, steps=5)
    assert order(page) == ["Qualified", "New", "Unqualified", "Contacted"]
    with page.expect_response("**/move/"):
        page.mouse.up()
    assert names(company) == ["Qualified", "New", "Unqualified", "Contacted"]

    contacted.hover()
    page.mouse.down()
    page.mouse.move(last["x"] + 20, last["y"] - 300, steps=5)
    page.keyboard.press("Escape")
    assert order(page) == names(company)
    page.mouse.up()


def test_a_list_is_kept_without_scripts(plain_page: Page, admin, company):
    page = plain_page
    make_lead(
        company, status=LeadStatus.objects.for_company(company).get(name="Contacted")
    )
    sign_in(page, admin)
    page.goto(page.server_url + LISTS)

    page.get_by_role("button", name="Move Qualified up").click()
    page.get_by_role("link", name="Add a status").click()
    page.get_by_label("Name").fill("Nurture")
    page.get_by_label("Meaning").select_option("Working")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="Delete Contacted").click()
    expect(page.get_by_label("Move its 1 lead to")).to_be_visible()
    page.get_by_role("button", name="Move and delete").click()

    expect(
        page.get_by_text("Contacted was deleted. 1 moved to Nurture.")
    ).to_be_visible()
    assert names(company) == ["New", "Qualified", "Unqualified", "Nurture"]


@pytest.mark.thorough
def test_lists_and_tags_have_no_finding_of_axe_and_a_tag_is_one_click(
    page: Page, admin, company
):
    lead = make_lead(company)
    vip, old = (
        Tag.objects.create(company=company, name=name, colour="purple")
        for name in ("VIP", "Old")
    )
    Tag.objects.filter(pk=old.pk).update(archived_at="2026-01-01T00:00Z")
    add_links(Lead, company.pk, [(lead.pk, old)])
    sign_in(page, admin)

    page.goto(f"{page.server_url}/leads/{lead.pk}/")
    page.get_by_text("Add tag").click()
    page.get_by_role("button", name="VIP").click()
    expect(page.get_by_role("button", name="Remove the tag VIP")).to_be_visible()
    status = lead.status_id
    for path in (
        f"/leads/{lead.pk}/",
        "/leads/",
        LISTS,
        f"{LISTS}statuses/{status}/",
        f"{LISTS}statuses/{status}/delete/",
        f"{LISTS}tags/{vip.pk}/delete/",
    ):
        page.goto(page.server_url + path)
        assert_fit_to_use_in_each_look(page)
