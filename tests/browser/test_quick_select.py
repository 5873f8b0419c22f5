"""Choosing a status or a stage by keyboard and by mouse: nothing is saved or sent before the choice is made.

A row saved as Qualified, Won or Lost is sent to LinkedIn at once, so an arrow key that passes one must not save it.
"""

from dataclasses import dataclass, field

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Locator, Page, Route, expect

from capi.models import ConversionEvent
from crm.models import CrmEvent, Deal, Lead, LeadStatus, Membership, Stage
from crm.models.roles import Role
from crm.services.erasure import erase_lead
from crm.views.errors import unavailable
from postgresql import saving
from postgresql.availability import Unavailable
from tests.browser.held import let_go
from tests.browser.looks import SIZES, assert_fit_to_use
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

HINT = "Enter to save · Esc to undo"
CHANGES = ("**/move/", "**/status/")
# The vertical position and height of all elements. Widths may change: a select is as wide as its text.
HEIGHTS = """() => [...document.querySelectorAll("main, main *:not(option, .hint)")].map((each) => {
  const { y, height } = each.getBoundingClientRect();
  return `${each.localName} ${each.className}: ${y} ${height}`; })"""
REPORTED = ("lead_qualified", "deal_won", "deal_lost")


@dataclass
class Choosing:
    """A page with a quick select. The `keys` lead to `chosen`, past entries that would be reported to LinkedIn."""

    page: Page
    row: Lead | Deal
    label: str
    saved: str
    chosen: str
    keys: list[str]
    posts: list[str] = field(default_factory=list)

    @property
    def select(self) -> Locator:
        return self.page.get_by_label(self.label, exact=True)

    @property
    def hint(self) -> Locator:
        return self.page.locator("form.quick", has=self.select).get_by_text(HINT)

    def choose_by_keyboard(self) -> None:
        self.select.focus()
        for key in self.keys:
            self.page.keyboard.press(key)
        self.shows(self.chosen)

    def shows(self, name: str) -> None:
        expect(self.select.locator("option:checked")).to_have_text(name)

    def is_saved_as(self, name: str) -> None:
        now = type(self.row).objects.get(pk=self.row.pk)
        assert str(now.status if isinstance(now, Lead) else now.stage) == name

    def nothing_happened(self) -> None:
        self.page.wait_for_load_state("networkidle")
        assert self.posts == []
        self.is_saved_as(self.saved)
        assert not CrmEvent.objects.filter(kind__in=REPORTED).exists()
        assert not ConversionEvent.objects.exists()

    def happened_once(self) -> None:
        """Assert that it was saved in one request, and that no entry on the way was reported."""
        expect(self.page.get_by_role("status")).to_contain_text(f"{self.chosen}.")
        self.page.wait_for_load_state("networkidle")
        assert len(self.posts) == 1
        self.is_saved_as(self.chosen)
        reported = {"Unqualified": [], "Lost": ["deal_lost"]}[self.chosen]
        assert (
            list(
                CrmEvent.objects.filter(kind__in=REPORTED).values_list(
                    "kind", flat=True
                )
            )
            == reported
        )
        assert (
            list(ConversionEvent.objects.values_list("rule__crm_event", flat=True))
            == reported
        )


PLACES = {
    "leads": "/leads/",
    "lead": "/leads/{lead}/",
    "board": "/deals/",
    "stage": "/deals/list/?stage={stage}",
    "deal": "/deals/{deal}/",
}
# The same script serves all of them, so most tests choose for one lead and one deal; others below are about the board.
EVERYWHERE = [
    pytest.param(at, marks=() if at == "leads" else pytest.mark.thorough)
    for at in PLACES
]
LEAD_AND_DEAL = [at for at in EVERYWHERE if at.values[0] in ("leads", "deal")]
everywhere = pytest.mark.parametrize("choosing", EVERYWHERE, indirect=True)


@pytest.fixture
def ada(company) -> Lead:
    return make_lead(company, first_name="Ada", last_name="Byron")


@pytest.fixture
def deal(company, ada) -> Deal:
    return make_deal(
        ada,
        amount="50000",
        stage=Stage.objects.for_company(company).get(name="Discovery"),
    )


@pytest.fixture
def rules(company, token, make_rule, ada, deal) -> None:
    """A rule for each CRM event that a select can cause, added after the lead and the deal."""
    for kind in REPORTED:
        make_rule(kind)


@pytest.fixture(params=LEAD_AND_DEAL)
def choosing(request, page: Page, sales, ada, deal, rules) -> Choosing:
    address = PLACES[request.param].format(
        lead=ada.pk, deal=deal.pk, stage=deal.stage_id
    )
    sign_in(page, sales)
    page.goto(page.server_url + address)
    return choosing_on(page, ada if request.param in ("leads", "lead") else deal)


def choosing_on(page: Page, row: Lead | Deal) -> Choosing:
    if isinstance(row, Lead):
        it = Choosing(
            page, row, f"Status of {row}", "New", "Unqualified", ["ArrowDown"] * 3
        )
    else:
        it = Choosing(
            page, row, f"Move {row} to", "Discovery", "Lost", ["ArrowDown"] * 4
        )
    page.on(
        "request",
        lambda request: (
            it.posts.append(request.url) if request.method == "POST" else None
        ),
    )
    return it


def test_arrow_keys_only_choose(choosing):
    choosing.choose_by_keyboard()

    choosing.nothing_happened()
    expect(choosing.hint).to_be_visible()
    expect(choosing.page.get_by_role("button", name="Save")).to_have_count(0)


@everywhere
def test_enter_saves_what_is_chosen_and_keeps_the_focus(choosing):
    choosing.choose_by_keyboard()

    choosing.page.keyboard.press("Enter")

    choosing.happened_once()
    if "?stage=" not in choosing.page.url:  # where the deal has left the list
        choosing.shows(choosing.chosen)
        expect(choosing.select).to_be_focused()
        expect(choosing.hint).to_be_hidden()


def test_leaving_the_select_saves_what_is_chosen(choosing):
    choosing.choose_by_keyboard()

    choosing.page.keyboard.press("Tab")

    choosing.happened_once()


def test_escape_brings_the_saved_one_back(choosing):
    choosing.choose_by_keyboard()

    choosing.page.keyboard.press("Escape")

    choosing.shows(choosing.saved)
    expect(choosing.hint).to_be_hidden()
    expect(choosing.select).to_be_focused()
    choosing.page.keyboard.press("Tab")
    choosing.nothing_happened()


def test_a_first_letter_only_chooses(choosing):
    choosing.select.focus()

    choosing.page.keyboard.press(choosing.chosen[0].lower())

    choosing.shows(choosing.chosen)
    expect(choosing.hint).to_be_visible()
    choosing.nothing_happened()


def test_coming_back_to_the_saved_one_saves_nothing(choosing):
    choosing.choose_by_keyboard()

    for _ in choosing.keys:
        choosing.page.keyboard.press("ArrowUp")
    choosing.page.keyboard.press("Enter")
    choosing.page.keyboard.press("Tab")

    expect(choosing.hint).to_be_hidden()
    choosing.nothing_happened()


def test_a_choice_without_a_key_is_saved_at_once(choosing):
    choosing.select.select_option(choosing.chosen)

    choosing.happened_once()


def test_enter_twice_saves_once(choosing):
    choosing.choose_by_keyboard()

    # Within one turn of the page's event loop: no response can come in between.
    choosing.select.evaluate(
        """select => { for (const _ of [1, 2])
        select.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true })) }"""
    )

    choosing.happened_once()


# --- the open list, on the board alone: the browser draws it, the same everywhere ---


@pytest.fixture
def on_the_board(page: Page, sales, deal, rules) -> Choosing:
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")
    return choosing_on(page, deal)


@pytest.fixture(
    params=[
        "mouse",
        *(
            pytest.param(key, marks=pytest.mark.thorough)
            for key in ("Space", "Alt+ArrowDown")
        ),
    ]
)
def open_list(request, on_the_board) -> Choosing:
    on_the_board.select.click() if request.param == "mouse" else on_the_board.select.press(
        request.param
    )
    for key in on_the_board.keys:
        on_the_board.page.keyboard.press(key)
    assert on_the_board.posts == []
    return on_the_board


def test_enter_in_the_open_list_saves(open_list):
    open_list.page.keyboard.press("Enter")

    open_list.happened_once()


def test_escape_in_the_open_list_saves_nothing(open_list):
    open_list.page.keyboard.down("Escape")
    # The list has closed: until then it gets the keys, not the page.
    expect(open_list.hint).to_be_visible()
    open_list.page.keyboard.up("Escape")

    open_list.shows(open_list.saved)
    expect(open_list.hint).to_be_hidden()
    open_list.nothing_happened()


# A list that opens and closes before the page has handled anything else, as on a busy machine. Chromium's own events.
AT_ONCE = """(select, last) => {
  const key = (kind, key) => select.dispatchEvent(new KeyboardEvent(kind, { key, bubbles: true, cancelable: true }));
  key("keydown", "ArrowDown");
  select.selectedIndex = 4;
  select.dispatchEvent(new Event("change", { bubbles: true }));
  if (last === "Enter") select.click();
  key("keyup", last); }"""


@pytest.mark.thorough
def test_enter_saves_however_fast_the_list_opens_and_closes(on_the_board):
    on_the_board.select.evaluate(AT_ONCE, "Enter")

    on_the_board.happened_once()


@pytest.mark.thorough
def test_escape_saves_nothing_however_fast_the_list_opens_and_closes(on_the_board):
    on_the_board.select.focus()

    on_the_board.select.evaluate(AT_ONCE, "Escape")

    on_the_board.shows(on_the_board.saved)
    on_the_board.page.keyboard.press("Tab")
    on_the_board.nothing_happened()


@pytest.mark.thorough
def test_closing_the_list_with_alt_and_up_only_chooses(on_the_board):
    for key in ("Alt+ArrowDown", *on_the_board.keys, "Alt+ArrowUp"):
        on_the_board.select.press(key)

    on_the_board.shows(on_the_board.chosen)
    expect(on_the_board.hint).to_be_visible()
    on_the_board.nothing_happened()


@pytest.mark.thorough
def test_a_list_opened_by_mouse_saves_although_no_click_follows_the_choice(
    on_the_board,
):
    on_the_board.select.dispatch_event("pointerdown", {"pointerType": "mouse"})

    on_the_board.select.select_option(on_the_board.chosen)

    on_the_board.happened_once()


@pytest.mark.thorough
def test_a_window_that_loses_the_focus_leaves_the_choice_open(on_the_board):
    on_the_board.choose_by_keyboard()

    # Sent then, although the select stays the active element.
    on_the_board.select.dispatch_event("focusout")

    on_the_board.nothing_happened()
    expect(on_the_board.hint).to_be_visible()


@pytest.mark.thorough
def test_a_deal_that_went_out_of_sight_comes_into_it_with_the_focus(on_the_board):
    page = on_the_board.page
    page.set_viewport_size({"width": 390, "height": 844})
    on_the_board.choose_by_keyboard()

    page.keyboard.press("Enter")

    on_the_board.happened_once()
    expect(on_the_board.select).to_be_focused()
    expect(on_the_board.select).to_be_in_viewport(ratio=1)


# --- while a request is under way, and when it is refused ---


@pytest.fixture
def held(page: Page) -> list[Route]:
    """The changes that the page has posted. They reach the server when the test lets them."""
    routes: list[Route] = []
    for pattern in CHANGES:
        page.route(pattern, lambda route: routes.append(route))
    return routes


def test_nothing_can_be_chosen_or_sent_while_a_request_is_under_way(choosing, held):
    choosing.choose_by_keyboard()
    choosing.page.keyboard.press("Enter")

    for key in ("ArrowUp", "Enter", "c", "Escape", "Enter"):
        choosing.page.keyboard.press(key)

    choosing.shows(choosing.chosen)
    let_go(choosing.page, held)
    choosing.happened_once()


@pytest.fixture
def grace(company) -> Lead:
    return make_lead(
        company, first_name="Grace", last_name="Hopper", email="grace@example.com"
    )


@pytest.fixture
def two(page: Page, sales, ada, grace, rules, held) -> tuple[Choosing, Choosing]:
    """Two selects on the list of leads. The first was left after a choice, whose request is pending."""
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")
    first, second = choosing_on(page, ada), choosing_on(page, grace)
    first.choose_by_keyboard()
    second.choose_by_keyboard()
    return first, second


def test_a_second_select_is_saved_after_the_first(page: Page, two, held):
    first, second = two

    page.keyboard.press("Enter")

    page.wait_for_timeout(100)
    assert len(held) == 1
    let_go(page, held, count=1)
    let_go(page, held, count=2)
    expect(page.get_by_role("status")).to_contain_text(
        "Grace Hopper is now Unqualified."
    )
    first.is_saved_as("Unqualified")
    second.is_saved_as("Unqualified")
    assert len(held) == 2


@pytest.mark.thorough
def test_a_second_select_is_saved_although_a_search_hides_its_row_meanwhile(
    page: Page, two, held
):
    first, second = two
    page.get_by_role("searchbox").fill("ada")
    expect(second.select).to_be_hidden()

    let_go(page, held, count=1)
    let_go(page, held, count=2)

    expect(page.locator("#messages")).to_contain_text(
        "Grace Hopper is now Unqualified."
    )
    first.shows("Unqualified")
    expect(page.locator("#main > form.quick")).to_have_count(0)
    expect(second.select).to_have_count(0)  # the search still holds
    first.is_saved_as("Unqualified")
    second.is_saved_as("Unqualified")


def test_the_answer_to_a_change_keeps_to_the_search_that_came_meanwhile(
    page: Page, two, held
):
    first, second = two
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").fill("ada")
    expect(second.select).to_be_hidden()

    let_go(page, held)

    expect(page.get_by_role("status")).to_contain_text("Ada Byron is now Unqualified.")
    first.shows("Unqualified")
    expect(second.select).to_be_hidden()


@pytest.mark.thorough
def test_what_waits_is_saved_when_the_browser_shows_the_page_again(
    page: Page, two, held
):
    page.keyboard.press("Enter")
    page.evaluate(
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    )

    let_go(page, held, count=2)

    expect(page.get_by_role("status")).to_contain_text(
        "Grace Hopper is now Unqualified."
    )


@pytest.mark.thorough
def test_leaving_the_page_asks_first_while_a_choice_waits(page: Page, two, held):
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.keyboard.press("Enter")

    page.get_by_role("link", name="Deals").first.click(no_wait_after=True)

    let_go(page, held, count=1)
    let_go(page, held, count=2)
    expect(page.locator("#messages")).to_contain_text(
        "Grace Hopper is now Unqualified."
    )
    page.get_by_role("link", name="Deals").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Deals")
    assert asked == ["beforeunload"]


@pytest.mark.thorough
def test_a_question_about_many_waits_for_what_is_still_to_be_saved(
    page: Page, two, held
):
    first, second = two
    # Which leaves the second: its choice waits for the first.
    page.get_by_label("Select Grace Hopper").check()
    page.get_by_label("New status of the selected leads").select_option("Qualified")
    page.get_by_role("button", name="Set status").click()
    let_go(page, held, count=2)  # the question
    expect(page.get_by_role("button", name="Set status")).to_be_disabled()

    held[0].continue_()
    let_go(page, held, count=3)

    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "Set the status of 1 lead to Qualified?"
    )
    first.is_saved_as("Unqualified")
    second.is_saved_as("Unqualified")


@pytest.mark.thorough
def test_a_choice_in_another_select_outlives_the_answer(page: Page, two, held):
    _, second = two

    let_go(page, held)

    expect(page.get_by_role("status")).to_contain_text("Ada Byron is now Unqualified.")
    second.shows("Unqualified")
    expect(second.hint).to_be_visible()
    expect(second.select).to_be_focused()
    page.wait_for_load_state("networkidle")
    second.is_saved_as("New")
    page.keyboard.press("Escape")
    second.shows("New")
    assert len(held) == 1


@pytest.mark.thorough
def test_a_choice_that_somebody_else_overtook_is_dropped(
    page: Page, two, held, company
):
    _, second = two
    contacted = LeadStatus.objects.for_company(company).get(name="Contacted")
    Lead.objects.filter(pk=second.row.pk).update(status=contacted)

    let_go(page, held)

    second.shows("Contacted")
    expect(second.hint).to_be_hidden()


def test_tab_goes_on_to_the_next_thing_although_the_answer_draws_the_list_anew(
    page: Page, sales, ada, grace, rules
):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")
    # The newest lead, so the first in the list.
    choosing_on(page, grace).choose_by_keyboard()

    page.keyboard.press("Tab")

    expect(page.get_by_role("status")).to_contain_text(
        "Grace Hopper is now Unqualified."
    )
    expect(page.get_by_label("Select Ada Byron")).to_be_focused()


@pytest.mark.thorough
def test_the_focus_goes_to_the_next_row_where_its_own_leaves_the_list(
    page: Page, sales, ada, deal
):
    make_deal(ada, title="Ten seats", stage=deal.stage)
    sign_in(page, sales)
    page.goto(f"{page.server_url}/deals/list/?stage={deal.stage_id}")
    ten_seats = Choosing(
        page, deal, "Move Ten seats to", "Discovery", "Lost", ["ArrowDown"] * 4
    )
    ten_seats.choose_by_keyboard()

    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("Ten seats is now in Lost.")
    expect(page.get_by_label("Move Forty licences to")).to_be_focused()


def refuse(page: Page, status: int) -> None:
    page.refusals.add(status)
    for pattern in CHANGES:
        page.route(
            pattern, lambda route: route.fulfill(status=status, body="<h1>No</h1>")
        )


def brings_the_saved_one_back(choosing: Choosing) -> None:
    """Assert that the select shows the saved entry again, with a message, and doesn't retry when it is left."""
    expect(choosing.page.get_by_role("status")).not_to_be_empty()
    choosing.shows(choosing.saved)
    expect(choosing.hint).to_be_hidden()
    expect(choosing.select).to_be_focused()
    choosing.is_saved_as(choosing.saved)
    choosing.page.keyboard.press("Tab")
    choosing.page.wait_for_load_state("networkidle")
    assert len(choosing.posts) == 1


def test_a_refusal_brings_the_saved_one_back_and_says_so(choosing):
    refuse(choosing.page, 422)
    choosing.choose_by_keyboard()

    choosing.page.keyboard.press("Enter")

    brings_the_saved_one_back(choosing)


@pytest.mark.thorough
@pytest.mark.parametrize("status", [403, 409, 500])
def test_so_does_every_other_refusal(on_the_board, status):
    refuse(on_the_board.page, status)
    on_the_board.choose_by_keyboard()

    on_the_board.page.keyboard.press("Enter")

    brings_the_saved_one_back(on_the_board)


def test_a_refusal_that_says_why_is_read(on_the_board, rf):
    page = on_the_board.page
    page.refusals.add(503)
    saving.begin()  # as a request does: this thread has saved the fixtures
    answer = unavailable(rf.post("/deals/"), Unavailable.TOO_SLOW).content
    page.route("**/move/", lambda route: route.fulfill(status=503, body=answer))
    on_the_board.choose_by_keyboard()

    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text(
        "took too long for this, so it was stopped. Nothing was saved."
    )
    brings_the_saved_one_back(on_the_board)


def test_a_server_out_of_reach_brings_the_saved_one_back_and_the_next_try_succeeds(
    page: Page, sales, ada, rules
):
    sign_in(page, sales)
    # Without the guard: the browser reports the failure in its console too.
    other = page.context.new_page()
    other.goto(page.server_url + "/leads/")
    other.route("**/status/", lambda route: route.abort())
    choosing = choosing_on(other, ada)
    choosing.choose_by_keyboard()

    other.keyboard.press("Enter")

    expect(other.get_by_role("status")).to_have_text(
        "The server could not be reached. Check your connection and try again."
    )
    choosing.shows("New")
    choosing.is_saved_as("New")
    other.unroute("**/status/")
    choosing.posts.clear()
    choosing.choose_by_keyboard()
    other.keyboard.press("Enter")
    choosing.happened_once()


@pytest.mark.thorough
def test_a_person_erased_meanwhile_is_not_changed(page: Page, sales, ada, rules):
    page.refusals.add(404)
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/{ada.pk}/")
    choosing = choosing_on(page, ada)
    choosing.choose_by_keyboard()
    erase_lead(lead=ada, user=sales.user)

    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text(
        "That did not work and nothing was changed."
    )
    choosing.shows("New")
    choosing.is_saved_as("New")


def test_a_session_that_has_ended_leads_to_the_sign_in_page(on_the_board):
    on_the_board.page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    on_the_board.choose_by_keyboard()

    on_the_board.page.keyboard.press("Enter")

    expect(on_the_board.page.get_by_role("heading", name="Sign in")).to_be_visible()
    on_the_board.is_saved_as(on_the_board.saved)


# --- looks, and what else there is ---


@everywhere
def test_the_hint_is_readable_for_everybody_and_moves_nothing(choosing):
    page = choosing.page
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        page.reload()
        choosing.select.focus()  # which scrolls to it
        before = page.evaluate(HEIGHTS)

        choosing.choose_by_keyboard()

        expect(choosing.hint).to_be_in_viewport(ratio=1)
        assert page.evaluate(HEIGHTS) == before
        expect(choosing.select).to_have_accessible_description(HINT)
        expect(page.locator("#quick-select-says")).to_have_text(HINT)
        assert_fit_to_use(page)
        page.keyboard.press("Escape")
        expect(page.locator("#quick-select-says")).to_be_empty()


def test_the_company_changes_with_enter_and_not_with_an_arrow(
    page: Page, sales, other_company
):
    Membership.objects.create(company=other_company, user=sales.user, role=Role.SALES)
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")
    company = page.get_by_label("Company", exact=True)
    company.focus()

    page.keyboard.press("c")

    expect(company.locator("option:checked")).to_have_text("Contoso GmbH")
    page.wait_for_load_state("networkidle")
    assert page.url == page.server_url + "/leads/"
    page.keyboard.press("Enter")
    expect(page).to_have_url(page.server_url + reverse("my_day"))
    expect(company.locator("option:checked")).to_have_text("Contoso GmbH")


@pytest.mark.parametrize("place", EVERYWHERE)
def test_without_javascript_there_is_a_button(
    plain_page: Page, sales, ada, deal, rules, place
):
    sign_in(plain_page, sales)
    plain_page.goto(
        plain_page.server_url
        + PLACES[place].format(lead=ada.pk, deal=deal.pk, stage=deal.stage_id)
    )
    choosing = choosing_on(plain_page, ada if place in ("leads", "lead") else deal)

    choosing.select.select_option(choosing.chosen)
    assert choosing.posts == []
    plain_page.get_by_role("button", name=f"Save {choosing.label}").click()

    choosing.happened_once()
