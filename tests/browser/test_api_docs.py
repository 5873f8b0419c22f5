"""The page about the API in a real browser."""

import pytest

from tests.browser.looks import SIZES, assert_fit_to_use, show_at
from tests.conftest import sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("size", SIZES)
def test_the_page_has_no_finding_of_axe_and_does_not_scroll_sideways(page, sales, size):
    show_at(page, size)
    sign_in(page, sales)

    page.goto(page.server_url + "/api/v1/docs/")

    assert_fit_to_use(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_name_of_a_field_is_on_one_line(page, sales, width):
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, sales)

    page.goto(page.server_url + "/api/v1/docs/")

    names = page.locator("td.title code")
    assert names.count() > 20
    broken = names.evaluate_all(
        "names => names.filter(n => n.getClientRects().length > 1).map(n => n.textContent)"
    )
    assert broken == []
