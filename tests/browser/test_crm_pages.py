"""The CRM's pages in a real browser: with and without JavaScript, on a phone and a desk, in light and dark."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import (
    ApiKey,
    CrmEvent,
    Deal,
    Lead,
    LeadStatus,
    LostReason,
    Pipeline,
    Stage,
)
from crm.services.people import show_outcomes
from crm.services.pipelines import add_pipeline
from tests.browser.looks import assert_fit_to_use, assert_fit_to_use_in_each_look
from tests.conftest import PASSWORD, make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture
def ada(company):
    return make_lead(
        company, first_name="Ada", last_name="Byron", organisation="Analytical Engines"
    )


@pytest.fixture
def grace(company):
    return make_lead(
        company, first_name="Grace", last_name="Hopper", email="grace@example.com"
    )


def status_of(lead: Lead) -> str:
    return str(Lead.objects.get(pk=lead.pk).status)


def stage_of(deal: Deal) -> str:
    return str(Deal.objects.get(pk=deal.pk).stage)


@pytest.mark.sized
@pytest.mark.timeout(600)
def test_no_page_has_a_finding_of_axe_or_scrolls_sideways(
    page: Page, admin, company, ada
):
    deal = make_deal(ada)
    LostReason.objects.create(company=company, name="Price")
    renewals = add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))
    lost = Stage.objects.usual_of(company).get(name="Lost")
    key, _ = ApiKey.objects.issue(company=company, role="sales", name="Website form")
    page.goto(page.server_url + "/login/")
    assert_fit_to_use_in_each_look(page)

    sign_in(page, admin)
    for path in (
        "/leads/",
        "/leads/?created_from=2999-01-01",
        "/leads/new/",
        f"/leads/{ada.pk}/",
        f"/leads/{ada.pk}/edit/",
        f"/leads/{ada.pk}/delete/",
        "/deals/",
        f"/deals/list/?stage={deal.stage_id}",
        "/deals/list/?meaning=won",
        "/deals/forecast/",
        "/deals/funnel/",
        f"/deals/{deal.pk}/lost/?stage={lost.pk}",
        "/deals/new/",
        f"/deals/new/?lead={ada.pk}",
        f"/deals/{deal.pk}/",
        f"/deals/{deal.pk}/delete/",
        "/company/",
        "/company/pipelines/",
        f"/company/pipelines/{renewals.pk}/",
        f"/company/pipelines/{renewals.pk}/archive/",
        "/company/lists/",
        f"/company/lists/stages/{lost.pk}/",
        "/company/audit/",
        "/company/audit/?action=export",
        f"/leads/{ada.pk}/erase/",
        f"/company/api-keys/{key.pk}/revoke/",
    ):
        page.goto(page.server_url + path)
        assert_fit_to_use_in_each_look(page)
    show_outcomes(membership=admin, shown=True)
    for path in ("/leads/", f"/deals/list/?stage={deal.stage_id}"):
        page.goto(page.server_url + path)
        assert_fit_to_use_in_each_look(page)


def test_a_refused_form_is_readable_for_everybody(page: Page, sales):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/new/")
    page.get_by_label("E-mail").fill("nonsense")

    page.get_by_role("button", name="Add lead").click()

    expect(page.get_by_role("alert")).to_contain_text(
        "Enter an e-mail address such as ada@example.com."
    )
    expect(page.get_by_role("alert")).to_be_focused()
    assert_fit_to_use(page)


def test_signing_in_and_out(page: Page, sales):
    page.goto(page.server_url + "/leads/")
    page.get_by_label("E-mail address").fill("sales@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Leads", exact=True)).to_be_visible()

    page.get_by_text("Sales Jansen").first.click()
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_searching_while_typing_keeps_the_words_out_of_the_address(
    page: Page, sales, ada, grace
):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")

    with page.expect_response(
        lambda response: "grace%40" in (response.request.post_data or "")
    ):
        page.get_by_label("Search").press_sequentially("grace@")

    expect(page.get_by_role("link", name="Ada Byron")).to_have_count(0)
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible()
    expect(page.get_by_label("Search")).to_be_focused()
    assert "grace" not in page.url
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("grace@")
    expect(page.get_by_role("link", name="Ada Byron")).to_have_count(0)


def test_a_status_chosen_in_the_list_is_saved_and_announced(page: Page, sales, ada):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")

    page.get_by_label("Status of Ada Byron").select_option("Qualified")

    expect(page.get_by_role("status")).to_contain_text("Ada Byron is now Qualified.")
    assert status_of(ada) == "Qualified"
    assert (
        CrmEvent.objects.filter(
            kind="lead_qualified", lead=ada, actor=sales.user
        ).count()
        == 1
    )


def test_a_status_chosen_on_the_leads_page_shows_in_its_timeline(
    page: Page, sales, ada
):
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/{ada.pk}/")

    page.get_by_label("Status of Ada Byron").select_option("Qualified")

    expect(page.get_by_text("Lead qualified")).to_be_visible()


def test_ticked_leads_change_together(page: Page, sales, ada, grace):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")

    page.get_by_label("All on this page").check()
    page.get_by_label("New status of the selected leads").select_option("Contacted")
    page.get_by_role("button", name="Set status").click()

    expect(page.get_by_role("status")).to_contain_text("2 leads are now Contacted.")
    assert (status_of(ada), status_of(grace)) == ("Contacted", "Contacted")


def test_a_deal_is_dragged_into_another_stage(page: Page, sales, ada):
    deal = make_deal(ada)
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")

    page.locator(".deal").drag_to(page.get_by_role("region", name="Won", exact=True))

    expect(page.get_by_role("status")).to_contain_text("Forty licences is now in Won.")
    expect(
        page.get_by_role("region", name="Won", exact=True).locator(".deal")
    ).to_have_count(1)
    assert stage_of(deal) == "Won"


def test_a_deal_is_moved_with_the_select_on_its_card(page: Page, sales, ada):
    deal = make_deal(ada)
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")

    page.get_by_label("Move Forty licences to").select_option("Lost")

    expect(page.get_by_role("status")).to_contain_text("Forty licences is now in Lost.")
    assert stage_of(deal) == "Lost"


def test_the_colours_are_chosen_in_the_account_menu(page: Page, sales):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")

    page.locator(".top .menu summary").click()
    page.get_by_role("button", name="Dark", exact=True).click()

    page.locator(".top .menu summary").click()
    expect(
        page.get_by_role("button", name="Dark", exact=True, pressed=True)
    ).to_be_visible()
    assert (
        page.evaluate("getComputedStyle(document.documentElement).colorScheme")
        == "dark"
    )
    assert page.url.endswith("/leads/")


def test_a_request_that_fails_is_said_so(page: Page, sales, ada):
    sign_in(page, sales)
    # Without the guard: the browser reports the failure in its console too.
    other = page.context.new_page()
    other.goto(page.server_url + "/leads/")
    other.route("**/status/", lambda route: route.abort())

    other.get_by_label("Status of Ada Byron").select_option("Qualified")

    expect(other.get_by_role("status")).to_have_text(
        "The server could not be reached. Check your connection and try again."
    )
    assert status_of(ada) == "New"


def test_the_account_menu_closes_with_escape_and_gives_the_focus_back(
    page: Page, sales
):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")
    summary = page.locator(".top .menu summary")
    summary.click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(summary).to_be_focused()


def test_the_skip_link_is_the_first_thing_the_keyboard_reaches(page: Page, sales):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")

    page.keyboard.press("Tab")

    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()


class TestWithoutJavaScript:
    @pytest.fixture
    def browser_context_args(self, browser_context_args):
        return {**browser_context_args, "java_script_enabled": False}

    def test_the_list_is_searched_and_filtered(self, page: Page, sales, ada, grace):
        Lead.objects.filter(pk=grace.pk).update(source="Fair")
        sign_in(page, sales)
        page.goto(page.server_url + "/leads/")

        page.get_by_text("More filters").click()
        page.get_by_role("combobox", name="Source", exact=True).select_option("Fair")
        page.get_by_label("Search").fill("hopper")
        page.get_by_role("button", name="Apply").click()

        expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible()
        expect(page.get_by_role("link", name="Ada Byron")).to_have_count(0)
        assert "hopper" not in page.url
        assert "source=Fair" in page.url

    def test_a_status_is_changed(self, page: Page, sales, ada):
        sign_in(page, sales)
        page.goto(page.server_url + "/leads/")

        page.get_by_label("Status of Ada Byron").select_option("Qualified")
        page.get_by_role("button", name="Save Status of Ada Byron").click()

        expect(page.get_by_role("status")).to_contain_text(
            "Ada Byron is now Qualified."
        )
        assert status_of(ada) == "Qualified"

    def test_a_deal_is_moved(self, page: Page, sales, ada):
        deal = make_deal(ada)
        sign_in(page, sales)
        page.goto(page.server_url + "/deals/")

        page.get_by_label("Move Forty licences to").select_option("Won")
        page.get_by_role("button", name="Save Move Forty licences to").click()

        expect(page.get_by_role("status")).to_contain_text(
            "Forty licences is now in Won."
        )
        assert stage_of(deal) == "Won"

    def test_a_lead_and_its_deal_are_added(self, page: Page, sales, company):
        sign_in(page, sales)
        page.goto(page.server_url + "/leads/new/")

        page.get_by_label("First name").fill("Joan")
        page.get_by_role("button", name="Add lead").click()
        page.get_by_role("link", name="Add deal").click()
        page.get_by_label("Title").fill("Ten seats")
        page.get_by_label("Amount").fill("990")
        page.get_by_role("button", name="Add deal").click()

        expect(page.get_by_role("heading", name="Ten seats")).to_be_visible()
        assert (
            Deal.objects.get(lead__first_name="Joan").stage
            == Stage.objects.for_company(company).first()
        )
        assert (
            Lead.objects.get().status == LeadStatus.objects.for_company(company).first()
        )


def test_the_keyboard_reaches_nothing_out_of_sight_on_a_narrow_screen(
    page: Page, sales, ada
):
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, sales)
    make_deal(ada, stage=Stage.objects.for_company(ada.company).get(name="Proposal"))

    page.goto(page.server_url + "/leads/")
    name = page.get_by_role("link", name="Name", exact=True)
    press_tab_until_focused(page, name)
    expect(name).to_be_in_viewport(ratio=1)
    assert_fit_to_use(page)

    page.goto(page.server_url + "/deals/")
    stage = page.get_by_label("Move Forty licences to")
    expect(stage).not_to_be_in_viewport(ratio=1)
    press_tab_until_focused(page, stage)
    expect(stage).to_be_in_viewport(ratio=1)


def press_tab_until_focused(page: Page, wanted) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("Tab did not get there")
