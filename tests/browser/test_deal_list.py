"""The list of deals and the forecast in the browser: nothing is cut, and nothing leaves its place."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page

from crm.models import LostReason, Stage, Tag
from crm.services.tags import set_tags
from tests.browser.looks import open_page
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_row_has_the_tags_the_organisation_and_the_lost_reason_on_one_line(
    page: Page, sales, company
):
    lead = make_lead(company, organisation="Delta Clinics")
    lost = Stage.objects.usual_of(company).get(name="Lost")
    reason = LostReason.objects.create(company=company, name="Bad timing")
    deal = make_deal(lead, stage=lost, lost_reason=reason)
    set_tags(row=deal, tags=[Tag.objects.create(company=company, name="Newsletter")])
    make_deal(lead, title="Short")
    sign_in(page, sales)

    open_page(page, "/deals/list/")

    heights = page.locator("#deal-list tbody tr").evaluate_all(
        "rows => rows.map(row => row.offsetHeight)"
    )
    assert len(set(heights)) == 1, heights
    assert page.locator("td.title small").evaluate_all(
        "all => all.every(one => one.offsetHeight < 24)"
    )


def test_the_name_of_a_usual_stage_is_not_cut(page: Page, sales, company):
    make_deal(
        make_lead(company),
        stage=Stage.objects.usual_of(company).get(name="Negotiation"),
    )
    sign_in(page, sales)

    open_page(page, "/deals/list/")

    wanted, given = page.get_by_label("Move", exact=False).first.evaluate(
        """select => {
            const free = select.cloneNode(true);
            free.style.maxInlineSize = "none";
            free.style.position = "absolute";
            free.value = select.value;
            select.after(free);
            return [free.offsetWidth, select.offsetWidth];
        }"""
    )
    assert given >= wanted


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_figures_of_the_forecast_stay_within_its_card(
    page: Page, sales, company, size
):
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
