"""A person whose company has too many requests at a time: pages load by themselves, and nothing typed is lost."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Page, expect

from crm.accounts.limiter import limiter, shares
from crm.accounts.request_limits import Asker
from crm.models import Lead, Membership
from tests.browser.looks import assert_fit_to_use, open_page
from tests.conftest import make_lead, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("S57")]


@pytest.fixture(autouse=True)
def _refusals(page: Page) -> None:
    page.refusals.add(429)  # type: ignore[attr-defined]


@contextmanager
def busy(member: Membership) -> Iterator[Callable[[], None]]:
    """As long as the member has as many requests as they may have. Yields what ends that."""
    asker = Asker("person", member.user_id, member.company_id)
    with ExitStack() as stack:
        for _ in range(shares().person):
            assert limiter.acquire(asker.pages())
            stack.callback(limiter.release, asker.pages())
        yield stack.close


def test_a_page_that_was_refused_loads_by_itself(page: Page, sales: Membership) -> None:
    sign_in(page, sales)

    with busy(sales) as end:
        open_page(page, "/leads/")
        expect(page.get_by_role("heading", name="One moment")).to_be_visible()
        assert_fit_to_use(page)
        end()

    expect(page.get_by_role("heading", name="Leads", exact=True)).to_be_visible()


@pytest.mark.parametrize("way", ["reload", "back"])
def test_a_form_that_was_refused_is_sent_again(page: Page, sales: Membership, way: str) -> None:
    sign_in(page, sales)
    open_page(page, "/leads/new/")
    page.get_by_label("First name").fill("Grace")

    with busy(sales):
        page.get_by_role("button", name="Add lead").click()
        expect(page.get_by_role("heading", name="Not saved")).to_be_visible()
        assert not Lead.objects.exists()
    if way == "reload":
        page.reload()
    else:
        page.go_back()
        expect(page.get_by_label("First name")).to_have_value("Grace")
        page.get_by_role("button", name="Add lead").click()

    expect(page.get_by_role("heading", name="Grace")).to_be_visible()
    assert Lead.objects.count() == 1


def test_ten_tabs_that_are_opened_at_once_all_load(page: Page, sales: Membership) -> None:
    make_lead(sales.company)
    sign_in(page, sales)
    tabs = [page.context.new_page() for _ in range(10)]

    for tab in tabs:
        tab.evaluate(f"() => {{ setTimeout(() => {{ location = '{page.server_url}/leads/' }}) }}")  # type: ignore[attr-defined]

    for tab in tabs:
        expect(tab.get_by_role("heading", name="Leads", exact=True)).to_be_visible(timeout=30_000)
        tab.close()


def test_a_part_that_loads_after_its_page_does_so_once_it_may(page: Page, admin: Membership) -> None:
    make_lead(admin.company)
    sign_in(page, admin)
    heavy = Asker("person", admin.user_id, admin.company_id).heavy()
    for _ in range(shares().heavy):
        limiter.acquire(heavy)

    open_page(page, "/my-day/")
    with page.expect_response(lambda response: response.status == 429):
        pass
    for _ in range(shares().heavy):
        limiter.release(heavy)

    expect(page.get_by_label("Leads of this month")).to_contain_text("Created")
    expect(page.locator("#messages .note.bad")).to_have_count(0)
