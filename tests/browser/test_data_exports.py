"""Exports in a real browser: from the filtered list to the file, and no finding of axe in any state."""

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from crm.data_exchange.exporting import list_rows
from crm.jobs import rounds
from crm.models import DataExport, Membership
from crm.services import data_exports
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.conftest import PASSWORD, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

EXPORTS = reverse("data_exports")


def exports_in_each_state(admin: Membership) -> list[DataExport]:
    made = [
        DataExport.objects.create(
            company=admin.company, made_by=admin.user, row_count=1204, **fields
        )
        for fields in (
            {"kind": "leads", "format": "csv", "state": "running", "reached": 640},
            {"kind": "leads", "format": "xlsx", "state": "running", "reached": 1204},
            {"kind": "company", "format": "zip", "state": "done", "size": 48_000},
            {
                "kind": "deals",
                "format": "csv",
                "state": "failed",
                "problem": data_exports.ERASED_SINCE,
            },
            {"kind": "deals", "format": "csv", "state": "cancelled"},
        )
    ]
    DataExport.objects.exclude(state="running").update(finished_at=made[0].created_at)
    return made


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(page: Page, admin: Membership, size: Any) -> None:
    make_lead(admin.company, organisation="Harbour & Sons")
    sign_in(page, admin)
    lists_of_pages = [
        reverse(f"{noun}_export") for noun in ("deal", "task", "organisation")
    ]
    for address in (
        f"{reverse('lead_export')}?sort=name",
        *lists_of_pages,
        reverse("organisations"),
        EXPORTS,
    ):
        open_page(page, address, size)
        assert_fit_to_use(page)
    for made in exports_in_each_state(admin):
        open_page(page, f"{EXPORTS}?made={made.pk}", size)
        assert_fit_to_use(page)
    open_page(page, reverse("company_export"), size)
    if page.get_by_label("Password").count():
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Password").press("Enter")
        page.wait_for_url(f"**{reverse('company_export')}")
    assert_fit_to_use(page)


def test_from_the_filtered_list_to_the_file(
    page: Page, sales: Membership, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(list_rows, "CHUNK", 1)
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    for name in ("Ada", "Bea", "Cid"):
        make_lead(
            sales.company,
            first_name=name,
            source="Website" if name == "Bea" else "Fair",
        )
    sign_in(page, sales)
    open_page(page, reverse("leads"))

    page.get_by_role("combobox", name="Source", exact=True).select_option("Fair")
    expect(page.get_by_text("Bea")).to_have_count(0)
    page.get_by_role("link", name="Export").click()
    expect(page.get_by_text("filtered by source")).to_be_visible()
    page.get_by_role("button", name="Export 2 leads").click()
    expect(page.get_by_text("You can leave this page")).to_be_visible()
    rounds.work_through(lambda: True)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    download.value.save_as(tmp_path / "leads.csv")
    assert download.value.suggested_filename.startswith("leads-")
    lines = (tmp_path / "leads.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["First name", "Cid", "Ada"]
