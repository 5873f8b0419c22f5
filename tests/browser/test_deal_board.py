"""The board in a real browser: what stays in view, and moving a card by mouse, by touch and by its select."""

import pytest
from playwright.sync_api import CDPSession, Locator, Page, Route, expect

from crm.models import Company, CrmEvent, Deal, LostReason, Stage
from crm.selectors import deals as board_selectors
from tests.browser.held import are_posted, let_go
from tests.browser.looks import SIZES, assert_fit_to_use, show_at
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

PLACE = "frame => [frame.scrollLeft, frame.scrollTop, scrollX, scrollY]"
HOLD_MS = 500  # longer than the board waits for
MOVE_TO_WON = """id => new MutationObserver((_, observer) => {
    const select = document.getElementById(id)?.querySelector("select");
    if (!select) return;
    observer.disconnect();
    select.value = [...select.options].find((option) => option.text === "Won").value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
}).observe(document.body, { childList: true, subtree: true })"""


@pytest.fixture
def deals(company) -> list[Deal]:
    """Enough deals for the board to scroll, with titles too long for a card."""
    lead = make_lead(
        company,
        organisation="The Analytical Engine and Difference Engine Company of London",
    )
    stages = list(Stage.objects.for_company(company))
    for stage in stages:
        make_deal(lead, title=f"Waiting in {stage}", stage=stage)
    return [
        make_deal(
            lead, title=f"Licences {n} for the engine rooms", amount="12345678.50"
        )
        for n in range(12)
    ]


@pytest.fixture
def moved(deals) -> Deal:
    return deals[7]


@pytest.fixture
def board(page: Page, sales, deals) -> Page:
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    return page


@pytest.fixture
def held(page: Page) -> list[Route]:
    """The moves that the page has posted. They reach the server when the test lets them."""
    routes: list[Route] = []
    page.route("**/move/", lambda route: routes.append(route))
    return routes


def refuse(page: Page) -> None:
    page.refusals.add(409)
    page.route("**/move/", lambda route: route.fulfill(status=409, body="<h1>No</h1>"))


def frame(page: Page) -> Locator:
    return page.get_by_role("region", name="Deals by stage")


def stage(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def card(page: Page, deal: Deal) -> Locator:
    return page.locator(f"#deal-{deal.pk}")


def scroll_to(page: Page, deal: Deal) -> list[float]:
    """Scroll the board to the card and a few pixels on, where a jump to any edge would show."""
    card(page, deal).evaluate("card => card.scrollIntoView({ block: 'center' })")
    frame(page).evaluate("frame => frame.scrollBy(3, 7)")
    return place(page)


def place(page: Page) -> list[float]:
    return frame(page).evaluate(PLACE)


def point_in(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box
    return box["x"] + 20, box["y"] + 20


def drag(page: Page, deal: Deal, name: str, *, let_go: bool = True) -> None:
    page.mouse.move(*point_in(card(page, deal)))
    page.mouse.down()
    x, y = point_in(stage(page, name).locator(".stage-head"))
    page.mouse.move(x, y + 250, steps=5)
    expect(page.locator(".drag-image")).to_be_visible()
    if let_go:
        page.mouse.up()


def in_stage(deal: Deal) -> str:
    return str(Deal.objects.get(pk=deal.pk).stage)


def shows_in(page: Page, deal: Deal, name: str) -> None:
    expect(stage(page, name).locator(f"#deal-{deal.pk}")).to_have_count(1)


# --- what stays in view ---


@pytest.mark.parametrize("size", SIZES)
def test_heads_stay_in_view_and_columns_reach_the_bottom(
    page: Page, sales, deals, size
):
    show_at(page, size)
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    frame(page).evaluate("frame => frame.scrollTo(0, frame.scrollHeight)")

    top = frame(page).evaluate("frame => frame.getBoundingClientRect().top")
    heads = page.locator(".stage-head").evaluate_all(
        "heads => heads.map(head => head.getBoundingClientRect().top)"
    )
    ends = page.locator(".stage").evaluate_all(
        "all => all.map(stage => stage.getBoundingClientRect().bottom)"
    )
    bottom = frame(page).evaluate(
        "frame => frame.getBoundingClientRect().top + frame.clientHeight"
    )

    assert heads == [top] * 5
    assert ends == pytest.approx([bottom] * 5, abs=1)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]


def test_a_card_never_wraps(board):
    cards = board.locator(".deal")

    in_column = (
        "board => [...board.querySelectorAll('.deal')].map(card => card.offsetHeight)"
    )
    # Open deals have a line for their next task, others none.
    for column in board.locator("[data-stage]").all():
        assert len(set(column.evaluate(in_column))) <= 1
    assert not any(
        cards.evaluate_all(
            "cards => cards.map(card => card.scrollWidth > card.clientWidth)"
        )
    )


# --- moving a card ---


@pytest.mark.parametrize("size", SIZES)
def test_the_board_keeps_its_place_to_the_pixel(board, moved, size):
    width, height = SIZES[size]
    board.set_viewport_size({"width": width, "height": height})
    board.reload()
    before = scroll_to(board, moved)

    card(board, moved).get_by_role("combobox").select_option("Proposal")

    expect(board.get_by_role("status")).to_contain_text("is now in Proposal.")
    shows_in(board, moved, "Proposal")
    assert place(board) == before


def test_a_dragged_card_moves_at_once_and_is_sent_once(board, moved, held):
    before = scroll_to(board, moved)

    drag(board, moved, "Won")

    shows_in(board, moved, "Won")
    expect(card(board, moved)).to_have_attribute("aria-busy", "true")
    card(board, moved).dispatch_event(
        "pointerdown", {"button": 0, "pointerType": "mouse", "clientX": 1, "clientY": 1}
    )
    board.mouse.move(300, 300, steps=3)
    expect(board.locator(".drag-image")).to_have_count(0)
    assert are_posted(board, held)
    assert (in_stage(moved), place(board)) == ("Discovery", before)
    held[0].continue_()
    expect(board.get_by_role("status")).to_contain_text("is now in Won.")
    expect(card(board, moved)).not_to_have_attribute("aria-busy", "true")
    assert (len(held), in_stage(moved), place(board)) == (1, "Won", before)
    assert CrmEvent.objects.filter(kind="deal_won", deal=moved).count() == 1
    expect(board.locator("#board-totals")).to_contain_text("14 open deals")


# --- the question before a deal is lost ---


@pytest.fixture
def price(company) -> LostReason:
    return LostReason.objects.create(company=company, name="Price")


def question(page: Page) -> Locator:
    return page.get_by_role("dialog")


def asks_about(page: Page, deal: Deal) -> None:
    expect(question(page)).to_have_accessible_name(f"Mark {deal} as lost?")


def mark_as_lost(page: Page) -> None:
    question(page).get_by_role("button", name="Mark as lost").click()


def test_a_card_dragged_to_lost_stays_where_it_is_until_the_question_is_answered(
    board, moved, price
):
    before = scroll_to(board, moved)

    drag(board, moved, "Lost")
    asks_about(board, moved)
    question(board).get_by_role("link", name="Cancel").click()

    expect(question(board)).to_have_count(0)
    shows_in(board, moved, "Discovery")
    assert (in_stage(moved), place(board)) == ("Discovery", before)
    drag(board, moved, "Lost")
    question(board).get_by_label("Price").check()
    mark_as_lost(board)
    shows_in(board, moved, "Lost")
    expect(board.locator("#messages")).to_contain_text("is now in Lost.")
    expect(question(board)).to_have_count(0)
    assert place(board) == before
    assert [str(Deal.objects.get(pk=moved.pk).lost_reason), in_stage(moved)] == [
        "Price",
        "Lost",
    ]
    assert CrmEvent.objects.filter(kind="deal_lost", deal=moved).count() == 1


@pytest.mark.parametrize("size", SIZES)
def test_the_question_fits_its_page(board, moved, price, size):
    show_at(board, size)
    card(board, moved).get_by_role("combobox").select_option("Lost")

    asks_about(board, moved)

    assert_fit_to_use(board)


def test_the_keyboard_answers_the_question_and_comes_back_to_the_select(
    board, moved, price
):
    select = card(board, moved).get_by_role("combobox")
    for _ in range(2):
        select.focus()
        board.keyboard.press("End")
        board.keyboard.press("Enter")
        asks_about(board, moved)
        board.keyboard.press("Escape")
        expect(question(board)).to_have_count(0)
        expect(select).to_be_focused()
        expect(select.locator("option:checked")).to_have_text("Discovery")
    board.keyboard.press("End")
    board.keyboard.press("Enter")
    asks_about(board, moved)

    expect(question(board).get_by_label("No reason")).to_be_focused()
    board.keyboard.press("ArrowDown")
    board.keyboard.press("Tab")
    board.keyboard.type("Twice as much as theirs.")
    board.keyboard.press("Tab")
    board.keyboard.press("Enter")

    shows_in(board, moved, "Lost")
    expect(select).to_be_focused()
    moved.refresh_from_db()
    assert (moved.lost_reason, moved.outcome_note) == (
        price,
        "Twice as much as theirs.",
    )


def test_a_required_reason_is_asked_for_again_in_the_dialog(
    board, company, moved, price
):
    Company.objects.filter(pk=company.pk).update(requires_lost_reason=True)
    scroll_to(board, moved)
    drag(board, moved, "Lost")
    asks_about(board, moved)

    mark_as_lost(board)

    expect(question(board).get_by_role("alert")).to_contain_text("Choose a reason.")
    assert in_stage(moved) == "Discovery"
    question(board).get_by_label("Price").check()
    mark_as_lost(board)
    shows_in(board, moved, "Lost")
    expect(question(board)).to_have_count(0)


def test_an_answer_that_is_refused_stays_in_the_dialog(board, moved, price):
    scroll_to(board, moved)
    drag(board, moved, "Lost")
    question(board).get_by_label("In your own words").fill("Too dear.")
    board.refusals.add(409)
    board.route("**/lost/**", lambda route: route.fulfill(status=409, body="<p>No</p>"))

    mark_as_lost(board)

    expect(question(board).get_by_role("status")).to_contain_text("nothing was changed")
    expect(question(board).get_by_label("In your own words")).to_have_value("Too dear.")
    board.unroute("**/lost/**")
    mark_as_lost(board)
    shows_in(board, moved, "Lost")


@pytest.mark.parametrize("path", ["/deals/list/", "/deals/{pk}/"])
def test_the_list_and_the_deals_page_ask_in_a_dialog_too(board, moved, price, path):
    board.goto(board.server_url + path.format(pk=moved.pk))
    select = board.get_by_role("combobox", name=f"Move {moved.title} to")

    select.select_option("Lost")
    asks_about(board, moved)
    question(board).get_by_label("Price").check()
    mark_as_lost(board)

    expect(select.locator("option:checked")).to_have_text("Lost")
    assert in_stage(moved) == "Lost"


def test_a_refused_card_comes_back_to_its_place_with_a_sentence(board, moved):
    refuse(board)
    before, neighbours = (
        scroll_to(board, moved),
        stage(board, "Discovery").locator(".deal > a").all_inner_texts(),
    )

    drag(board, moved, "Won")

    expect(board.get_by_role("status")).to_contain_text("nothing was changed")
    shows_in(board, moved, "Discovery")
    assert (
        stage(board, "Discovery").locator(".deal > a").all_inner_texts() == neighbours
    )
    expect(card(board, moved).locator("option:checked")).to_have_text("Discovery")
    expect(card(board, moved)).not_to_have_attribute("aria-busy", "true")
    assert place(board) == before
    assert in_stage(moved) == "Discovery"


def test_escape_puts_a_dragged_card_down(board, moved, held):
    scroll_to(board, moved)
    drag(board, moved, "Won", let_go=False)

    board.keyboard.press("Escape")
    board.mouse.up()

    expect(board.locator(".drag-image")).to_have_count(0)
    shows_in(board, moved, "Discovery")
    assert held == []


def test_a_click_on_a_card_still_opens_the_deal(board, moved):
    card(board, moved).get_by_role("link").click()

    expect(board.get_by_role("heading", name=moved.title)).to_be_visible()


def test_the_keyboard_moves_a_card_and_stays_on_its_select(board, moved, held):
    select = card(board, moved).get_by_role("combobox")
    select.focus()
    board.keyboard.press("ArrowDown")
    shows_in(board, moved, "Discovery")

    board.keyboard.press("Enter")

    shows_in(board, moved, "Proposal")
    expect(select).to_be_focused()
    let_go(board, held)
    expect(board.get_by_role("status")).to_contain_text("is now in Proposal.")
    expect(select).to_be_focused()
    assert len(held) == 1


# --- further cards of a column ---


@pytest.fixture
def long_column(company, monkeypatch) -> list[Deal]:
    """Eight deals in Discovery as the board orders them. It shows three of them at a time."""
    monkeypatch.setattr(board_selectors, "CARDS_PER_STAGE", 3)
    lead = make_lead(company)
    return [make_deal(lead, title=f"Licences {n}") for n in range(8)][::-1]


@pytest.mark.parametrize("size", SIZES)
def test_further_cards_are_added_in_place_and_stay_through_a_move(
    page: Page, sales, long_column, size
):
    show_at(page, size)
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    discovery = stage(page, "Discovery")

    page.get_by_role("link", name="Show 3 more deals in Discovery").focus()
    page.keyboard.press("Enter")

    expect(card(page, long_column[3]).get_by_role("link")).to_be_focused()
    expect(page.locator("#board-says")).to_have_text("3 more deals in Discovery")
    expect(discovery.locator(".deal")).to_have_count(6)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]

    card(page, long_column[4]).get_by_role("combobox").select_option("Won")
    shows_in(page, long_column[4], "Won")
    expect(page.get_by_role("status")).to_contain_text("is now in Won.")
    expect(discovery.locator(".count")).to_have_text("7")
    expect(discovery.locator(".deal")).to_have_count(6)
    page.get_by_role("link", name="Show 1 more deal in Discovery").click()
    expect(discovery.locator(".deal")).to_have_count(7)
    page.get_by_role("button", name="Undo").click()

    expect(discovery.locator(".count")).to_have_text("8")
    expect(discovery.locator(".deal")).to_have_count(7)
    page.reload()
    expect(discovery.locator(".deal")).to_have_count(7)
    page.get_by_label("Search deals").press_sequentially("licences 1")
    expect(discovery.locator(".deal")).to_have_count(1)
    assert "shown" not in page.url


@pytest.mark.thorough
def test_further_cards_that_come_during_a_move_stay(
    page: Page, sales, long_column, held
):
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    discovery = stage(page, "Discovery")

    card(page, long_column[0]).get_by_role("combobox").select_option("Won")
    page.get_by_role("link", name="Show 3 more deals in Discovery").click()
    # Without the one that is being moved.
    expect(discovery.locator(".deal")).to_have_count(5)
    let_go(page, held)

    expect(page.get_by_role("status")).to_contain_text("is now in Won.")
    shows_in(page, long_column[0], "Won")
    expect(discovery.locator(".deal")).to_have_count(5)


@pytest.mark.thorough
def test_moves_of_further_cards_that_wait_for_another_one_are_saved(
    page: Page, sales, long_column, held
):
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    card(page, long_column[0]).get_by_role("combobox").select_option("Won")
    page.get_by_role("link", name="Show 3 more deals in Discovery").click()
    card(page, long_column[4]).get_by_role("combobox").select_option("Proposal")
    card(page, long_column[5]).get_by_role("combobox").select_option("Negotiation")

    for count in (1, 2, 3):
        let_go(page, held, count)

    expect(page.locator("#messages")).to_contain_text("is now in Negotiation.")
    expect(stage(page, "Discovery").locator(".deal")).to_have_count(5)
    shows_in(page, long_column[4], "Proposal")
    shows_in(page, long_column[5], "Negotiation")
    expect(page.locator("#main > form.quick")).to_have_count(0)


@pytest.mark.thorough
def test_further_cards_can_be_moved_from_the_moment_they_are_on_the_page(
    page: Page, sales, long_column
):
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    page.evaluate(MOVE_TO_WON, f"deal-{long_column[4].pk}")

    page.get_by_role("link", name="Show 3 more deals in Discovery").click()

    expect(page.get_by_role("status")).to_contain_text("is now in Won.")
    shows_in(page, long_column[4], "Won")
    expect(stage(page, "Discovery").locator(".deal")).to_have_count(6)


# --- dropped while another move is pending ---


@pytest.fixture
def two(deals) -> tuple[Deal, Deal]:
    """Two deals that are in view from the start."""
    return deals[-1], deals[-2]


@pytest.mark.thorough
@pytest.mark.parametrize("first_answer", ["Mark as lost", "Cancel"])
def test_each_of_two_deals_that_are_lost_at_once_is_asked_about(
    board, two, held, price, first_answer
):
    drag(board, two[0], "Lost")
    drag(board, two[1], "Lost")
    let_go(board, held, 1)
    let_go(board, held, 2)

    asks_about(board, two[0])
    board.get_by_label("Price").check()
    question(board).get_by_text(first_answer, exact=True).click()
    asks_about(board, two[1])
    board.get_by_label("Price").check()
    mark_as_lost(board)

    shows_in(board, two[1], "Lost")
    assert in_stage(two[0]) == (
        "Lost" if first_answer == "Mark as lost" else "Discovery"
    )
    assert in_stage(two[1]) == "Lost"


@pytest.mark.thorough
def test_what_is_dropped_before_a_question_is_saved_first(board, two, held, price):
    drag(board, two[0], "Lost")
    drag(board, two[1], "Won")
    let_go(board, held, 1)
    let_go(board, held, 2)

    asks_about(board, two[0])

    board.get_by_role("link", name="Cancel").click()
    shows_in(board, two[0], "Discovery")
    shows_in(board, two[1], "Won")
    assert [in_stage(each) for each in two] == ["Discovery", "Won"]


@pytest.mark.thorough
def test_the_question_is_asked_although_another_move_is_refused_meanwhile(
    board, two, held, price
):
    board.refusals.add(409)
    drag(board, two[0], "Lost")
    drag(board, two[1], "Won")
    let_go(board, held, 1)
    shows_in(board, two[1], "Won")
    assert are_posted(board, held, 2)

    held[1].fulfill(status=409, body="<h1>No</h1>")

    asks_about(board, two[0])
    assert in_stage(two[1]) == "Discovery"


@pytest.mark.thorough
def test_a_refused_card_comes_back_although_the_next_one_is_on_its_way(
    board, two, held
):
    board.refusals.add(409)
    drag(board, two[0], "Won")
    drag(board, two[1], "Proposal")
    held[0].fulfill(status=409, body="<h1>No</h1>")

    let_go(board, held, 2)

    expect(board.locator("#messages")).to_contain_text("is now in Proposal.")
    shows_in(board, two[0], "Discovery")
    shows_in(board, two[1], "Proposal")
    assert [in_stage(each) for each in two] == ["Discovery", "Proposal"]


@pytest.mark.thorough
def test_a_move_is_shown_and_the_next_one_saved_although_a_search_redraws_the_board_meanwhile(
    board, two, held
):
    drag(board, two[0], "Won")
    board.get_by_label("Search deals").press_sequentially("licences")
    expect(board.locator(".deal")).to_have_count(12)

    let_go(board, held, 1)
    expect(board.locator("#messages")).to_contain_text("is now in Won.")
    shows_in(board, two[0], "Won")
    expect(board.locator(".deal")).to_have_count(12)
    drag(board, two[1], "Proposal")
    let_go(board, held, 2)

    shows_in(board, two[1], "Proposal")
    expect(board.locator("#messages")).to_contain_text("is now in Proposal.")
    assert [in_stage(each) for each in two] == ["Won", "Proposal"]


def test_a_move_that_waits_is_saved_although_a_search_hides_its_card_meanwhile(
    board, deals, held
):
    first, second, third = deals[-1], deals[-2], deals[-3]
    drag(board, first, "Won")
    drag(board, second, "Proposal")
    drag(board, third, "Negotiation")
    board.get_by_label("Search deals").press_sequentially("licences 11")
    expect(board.locator(".deal")).to_have_count(1)

    for count in (1, 2, 3):
        let_go(board, held, count)

    expect(board.locator("#messages")).to_contain_text("is now in Negotiation.")
    expect(board.locator(".deal")).to_have_count(1)
    shows_in(board, first, "Won")
    expect(board.locator("[aria-busy]")).to_have_count(0)
    expect(board.locator("#main > form.quick")).to_have_count(0)
    assert [in_stage(each) for each in (first, second, third)] == [
        "Won",
        "Proposal",
        "Negotiation",
    ]


@pytest.mark.thorough
def test_a_card_whose_move_is_pending_stays_busy_when_a_search_redraws_it(
    board, two, held
):
    drag(board, two[0], "Won")
    board.get_by_label("Search deals").press_sequentially("licences 11")
    expect(board.locator(".deal")).to_have_count(1)

    expect(card(board, two[0])).to_have_attribute("aria-busy", "true")
    card(board, two[0]).get_by_role("combobox").select_option("Proposal")
    let_go(board, held)

    shows_in(board, two[0], "Won")
    expect(card(board, two[0])).not_to_have_attribute("aria-busy", "true")
    expect(board.locator(".deal")).to_have_count(1)  # the search still holds
    assert (len(held), in_stage(two[0])) == (1, "Won")


@pytest.mark.thorough
def test_a_card_that_was_redrawn_and_is_refused_is_no_longer_busy(board, two, held):
    board.refusals.add(409)
    drag(board, two[0], "Won")
    board.get_by_label("Search deals").press_sequentially("licences 11")
    expect(board.locator(".deal")).to_have_count(1)

    held[0].fulfill(status=409, body="<h1>No</h1>")

    expect(board.get_by_role("status")).to_contain_text("nothing was changed")
    expect(card(board, two[0])).not_to_have_attribute("aria-busy", "true")
    expect(card(board, two[0]).locator("option:checked")).to_have_text("Discovery")


@pytest.mark.thorough
def test_cards_can_be_dragged_after_an_undo_has_redrawn_the_board(board, two, held):
    drag(board, two[0], "Won")
    let_go(board, held, 1)
    board.get_by_role("button", name="Undo").click()
    shows_in(board, two[0], "Discovery")

    drag(board, two[1], "Proposal")

    shows_in(board, two[1], "Proposal")
    let_go(board, held, 2)
    expect(board.locator("#messages")).to_contain_text("is now in Proposal.")
    assert in_stage(two[1]) == "Proposal"


# --- touch ---


@pytest.fixture
def phone(another_browser, sales, deals) -> Page:
    width, height = SIZES["phone"]
    page = another_browser(viewport={"width": width, "height": height}, has_touch=True)
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    return page


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    touches = [{"x": x, "y": y} for x, y in points]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def test_a_card_that_is_held_is_dragged_by_touch(phone, deals):
    session = phone.context.new_cdp_session(phone)
    x, y = point_in(card(phone, deals[-1]))
    touch(session, "touchStart", (x, y))
    phone.wait_for_timeout(HOLD_MS)
    expect(phone.locator(".drag-image")).to_be_visible()

    touch(session, "touchMove", (380, y + 40))  # the edge, where the board scrolls on
    expect(stage(phone, "Lost").get_by_role("heading")).to_be_in_viewport(ratio=1)
    touch(session, "touchMove", point_in(stage(phone, "Lost").locator(".stage-head")))
    touch(session, "touchEnd")

    expect(phone.get_by_role("status")).to_contain_text("is now in Lost.")
    assert in_stage(deals[-1]) == "Lost"


def test_a_finger_that_moves_at_once_scrolls(phone, deals):
    session = phone.context.new_cdp_session(phone)
    x, y = point_in(card(phone, deals[-1]))
    touch(session, "touchStart", (x, y + 60))

    for step in range(1, 12):
        touch(session, "touchMove", (x, y + 60 - 10 * step))
    phone.wait_for_timeout(HOLD_MS)

    expect(phone.locator(".drag-image")).to_have_count(0)
    touch(session, "touchEnd")
    assert frame(phone).evaluate("frame => frame.scrollTop") > 0
    assert in_stage(deals[-1]) == "Discovery"


# --- filters ---


def test_the_board_is_filtered_while_typing(board, deals):
    board.get_by_label("Search deals").press_sequentially("licences 11")

    expect(board.locator(".deal")).to_have_count(1)
    expect(board.get_by_label("Search deals")).to_be_focused()
    expect(board.locator("#board-totals")).to_contain_text("1 open deal")
    assert "licences" not in board.url
