"""The help in a real browser: no finding of axe, no sideways scroll, the keyboard, and the way from an error."""

import pytest

from capi.models import ConversionEvent, ConversionRule
from leadmachine.help.pages import all_pages
from tests.browser.looks import assert_fit_to_use_in_each_look, open_page
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.thorough
def test_no_page_of_the_help_has_a_finding(page, sales) -> None:
    sign_in(page, sales)

    for address in [
        "/help/",
        "/help/?q=token",
        "/help/?q=xyzzy",
        *(f"/help/{slug}/" for slug in all_pages()),
    ]:
        open_page(page, address)
        assert_fit_to_use_in_each_look(page)


def test_a_refused_event_leads_to_the_place_that_explains_it(
    page, company, admin
) -> None:
    ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="1", name="New"
    )
    make_lead(company)
    ConversionEvent.objects.update(
        state="rejected", reason="data_refused", next_attempt_at=None
    )
    sign_in(page, admin)

    open_page(page, ConversionEvent.objects.get().get_absolute_url())
    page.get_by_role("link", name="Troubleshooting").click()

    page.wait_for_url("**/help/troubleshooting/#reason-data_refused")
    assert page.locator(":target h2").inner_text() == "400, 409, 422: Data rejected"


def test_the_help_is_searched_with_the_keyboard(page, sales) -> None:
    sign_in(page, sales)
    open_page(page, "/dashboard/")

    page.get_by_role("link", name="Help").click()
    page.get_by_role("searchbox", name="Search help").fill("426")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="400, 426: API version retired").first.click()

    assert page.locator(":target h2").inner_text() == "400, 426: API version retired"


def test_topics_stand_clear_of_the_bullets_of_the_next_column(page, sales) -> None:
    sign_in(page, sales)

    open_page(page, "/help/")
    gaps = page.evaluate("""() => [...document.querySelectorAll(".help-topics")].map((list) => {
      const boxes = [...list.querySelectorAll("a")].map((each) => each.getBoundingClientRect());
      const lefts = [...new Set(boxes.map(({ left }) => Math.round(left)))].sort((one, other) => one - other);
      return Math.min(...lefts.slice(1).map((left) => left - Math.max(
        ...boxes.filter((box) => box.left < left - 1).map(({ right }) => right))));
    })""")

    assert len(gaps) >= 3
    assert min(gaps) >= 40  # px, of which a bullet and its gap take 16
