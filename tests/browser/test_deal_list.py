"""The list of deals and the forecast in the browser: nothing is cut, and nothing leaves its place."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page

from tests.browser.looks import open_page
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_figures_of_the_forecast_stay_within_its_card(page: Page, sales, company, size):
    close = timezone.localdate() + timedelta(days=31)
    make_deal(make_lead(company), amount="105250", expected_close=close)
    sign_in(page, sales)

    open_page(page, "/deals/forecast/", size)

    outside = page.locator(".chart").evaluate(
        """chart => {
            const card = chart.closest(".card").getBoundingClientRect();
            return [...chart.querySelectorAll("svg text")]
                .filter((text) => text.checkVisibility() && text.getBoundingClientRect().left < card.left + 2)
                .map((text) => text.textContent.trim());
        }"""
    )
    assert outside == []
