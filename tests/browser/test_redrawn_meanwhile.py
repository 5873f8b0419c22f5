"""A search, a filter or an undo that redraws the page while a status or a stage is being saved."""

import pytest
from playwright.sync_api import Page, Route, expect

from crm.models import Membership
from crm.models.roles import Role
from tests.browser.held import let_go
from tests.browser.test_deal_board import (
    board,
    card,
    deals,
    drag,
    held,
    in_stage,
    shows_in,
    two,
)
from tests.browser.test_quick_select import ada, choosing_on, deal, grace, rules
from tests.conftest import make_lead, sign_in

__all__ = ["ada", "board", "deal", "deals", "grace", "held", "rules", "two"]  # fixtures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def hold(page: Page, pattern: str, method: str) -> list[Route]:
    """From now on, requests of this kind reach the server only when the test lets them."""
    routes: list[Route] = []
    page.route(
        pattern,
        lambda route: (
            routes.append(route) if route.request.method == method else route.fallback()
        ),
    )
    return routes


def sent(page: Page, routes: list[Route]) -> Route:
    """The first of these requests, once it is sent."""
    for _ in range(100):
        if routes:
            break
        page.wait_for_timeout(50)
    return routes[0]


def search(page: Page, text: str, *, leaves: int) -> None:
    page.get_by_label("Search deals").fill(text)
    expect(page.locator(".deal")).to_have_count(leaves)


def test_the_result_of_a_search_is_shown_although_a_change_is_answered_before_it(
    board, two, held
):
    searches = hold(board, "**/deals/", "POST")
    drag(board, two[0], "Won")
    board.get_by_label("Search deals").fill("licences 11")
    sent(board, searches)
    let_go(board, held)
    shows_in(board, two[0], "Won")

    searches[0].continue_()

    expect(board.locator(".deal")).to_have_count(1)


def test_the_result_of_a_search_is_shown_although_the_board_is_requested_again_before_it(
    board, two, held
):
    drag(board, two[0], "Won")
    search(board, "licences", leaves=12)
    again = hold(board, "**/deals/?*", "GET")
    let_go(board, held)
    sent(board, again)
    searches = hold(board, "**/deals/", "POST")
    board.get_by_label("Search deals").fill("licences 11")
    sent(board, searches)

    again[0].continue_()
    shows_in(board, two[0], "Won")
    searches[0].continue_()

    expect(board.locator(".deal")).to_have_count(1)


def test_the_focus_stays_where_it_is_when_the_board_is_requested_again(
    board, deals, held
):
    drag(board, deals[-1], "Won")
    search(board, "licences", leaves=12)
    again = hold(board, "**/deals/?*", "GET")
    link = card(board, deals[-3]).get_by_role("link").first
    link.focus()
    let_go(board, held)

    sent(board, again).continue_()

    expect(board.locator(".deal")).to_have_count(12)
    expect(link).to_be_focused()


def test_a_saved_change_is_not_said_to_have_failed_if_the_board_cannot_be_shown(
    board, two, held
):
    board.refusals.add(500)
    drag(board, two[0], "Won")
    search(board, "licences 11", leaves=1)
    again = hold(board, "**/deals/?*", "GET")
    let_go(board, held)

    sent(board, again).fulfill(status=500, body="<h1>No</h1>")

    expect(board.locator("#messages")).to_contain_text(
        "This part of the page could not be shown. Reload the page."
    )
    expect(board.locator("#messages")).not_to_contain_text("nothing was changed")


def test_a_redrawn_card_is_no_longer_busy_when_the_browser_shows_the_page_again(
    board, two, held
):
    drag(board, two[0], "Won")
    search(board, "licences 11", leaves=1)

    board.evaluate(
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    )

    expect(card(board, two[0])).not_to_have_attribute("aria-busy", "true")
    expect(card(board, two[0]).locator("option:checked")).to_have_text("Discovery")


def test_an_undo_that_a_search_overtakes_leaves_the_page_as_the_search_wants_it(
    board, deals, held
):
    first, second, third = deals[-1], deals[-2], deals[-3]
    drag(board, first, "Won")
    let_go(board, held)
    undo = board.get_by_role("button", name="Undo").first
    undos = hold(board, undo.evaluate("button => button.form.action"), "POST")
    drag(board, second, "Won")
    drag(board, third, "Proposal")
    undo.click()
    sent(board, undos)
    search(board, "licences 10", leaves=1)

    undos[0].continue_()
    expect(board.locator("#messages")).to_contain_text("Discovery")
    let_go(board, held, 2)
    let_go(board, held, 3)

    expect(board.locator("#messages")).to_contain_text("is now in Proposal.")
    expect(board.get_by_label("Search deals")).to_have_value("licences 10")
    expect(board.locator(".deal")).to_have_count(1)
    assert [in_stage(each) for each in (first, second, third)] == [
        "Discovery",
        "Won",
        "Proposal",
    ]


def test_the_company_changes_once_all_choices_are_saved(
    page: Page, sales, ada, grace, other_company, rules
):
    Membership.objects.create(company=other_company, user=sales.user, role=Role.SALES)
    third = make_lead(sales.company, first_name="Mary", last_name="Somerville")
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")
    held = hold(page, "**/status/", "POST")
    choosing_on(page, ada).select.select_option("Unqualified")
    sent(page, held)
    page.get_by_label("Company", exact=True).select_option(
        str(other_company), no_wait_after=True
    )
    choosing_on(page, grace).select.select_option("Unqualified")
    choosing_on(page, third).select.select_option("Contacted")

    for count in (1, 2, 3):
        let_go(page, held, count)

    expect(choosing_on(page, third).select).to_have_count(0)
    expect(
        page.get_by_label("Company", exact=True).locator("option[selected]")
    ).to_have_text(str(other_company))
    for lead, status in (
        (ada, "Unqualified"),
        (grace, "Unqualified"),
        (third, "Contacted"),
    ):
        lead.refresh_from_db()
        assert str(lead.status) == status
