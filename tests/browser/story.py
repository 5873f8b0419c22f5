"""What an admin does and sees from when sending to LinkedIn fails until it works again."""

import re
from dataclasses import dataclass

from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from capi.delivery.deliver import deliver
from capi.linkedin.sandbox.faults import Fault
from capi.linkedin.sandbox.server import SandboxServer
from capi.models import ConversionEvent, ConversionRule
from crm.models import Company, Lead
from tests.browser.looks import assert_fit_to_use, open_page
from tests.browser.test_capi_pages import EVENTS, LINKEDIN, save_token
from tests.capi.alerts.conftest import look, subjects
from tests.capi.conftest import received
from tests.conftest import PASSWORD, make_lead


@dataclass
class Story:
    """A company, its admin's browser on the LinkedIn page, and LinkedIn's stand-in. Each method names who acts."""

    page: Page
    company: Company
    sandbox: SandboxServer
    rule: ConversionRule
    mails_read: int = 0

    # --- the world ---

    def linkedin_refuses(self, status: int, body: str) -> None:
        """Refuse the next request, with this status and body."""
        self.sandbox.faults.add(Fault(status=status, body=body))

    def a_lead_comes_in(self, name: str, **fields: str) -> Lead:
        """Add a lead, and deliver at once, as a woken worker does."""
        lead = make_lead(self.company, first_name=name, **fields)
        self.worker_delivers()
        return lead

    def leads_come_in(self, count: int) -> None:
        for number in range(count):
            self.a_lead_comes_in(f"Lead {number}", email=f"lead{number}@example.com")

    def worker_delivers(self) -> None:
        deliver(self.company.pk)

    # --- the admin does ---

    def admin_replaces_the_token(self) -> None:
        """Give the password, which is asked for first, and save another token."""
        first = self.page.locator("#main .stack").locator(".button, .play").first
        expect(first).to_have_text("Replace the token")
        first.click()
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        save_token(self.page)
        expect(self.page.locator("#connect")).to_contain_text("Saved")

    def admin_gives_the_rule_another_id(self, linkedin_id: str) -> None:
        self.page.get_by_label(f"More: {self.rule.name}").click()
        self.page.get_by_role("link", name=f"Edit {self.rule.name}").click()
        self.page.get_by_label("LinkedIn rule id").fill(linkedin_id)
        self.page.get_by_role("button", name="Save the rule").click()

    def admin_enters_an_address(self, lead: Lead, address: str) -> None:
        """Follow the link on the lead's page, and save the address."""
        open_page(self.page, lead.get_absolute_url())
        expect(self.page.get_by_text("Waiting for an e-mail").first).to_be_visible()
        self.page.get_by_role("link", name="Enter an address").first.click()
        self.page.get_by_label("E-mail").fill(address)
        self.page.get_by_role("button", name="Save").click()

    # --- the admin sees ---

    def admin_is_mailed(self, *expected: str) -> None:
        """Assert that exactly these mails came since the last call, although the company was checked twice."""
        look(self.company)
        look(self.company)
        came = subjects()
        assert came[self.mails_read :] == list(expected)
        self.mails_read = len(came)

    def banner_says(self, *words: str) -> None:
        self.page.reload()
        for each in words:
            expect(self.page.locator("#pause")).to_contain_text(each)
        assert_fit_to_use(self.page)

    def rules_row_says(self, line: str, *, opened: str) -> None:
        """Assert what the rule's row shows in one line, and what once that is opened."""
        self.page.reload()
        failure = self.page.locator(f"#rule-{self.rule.pk} .failure")
        expect(failure.get_by_text(opened)).to_be_hidden()
        failure.locator("summary", has_text=line).click()
        expect(failure.get_by_text(opened)).to_be_visible()
        assert_fit_to_use(self.page)

    def doctor_leaves_to_the_page(self, *checks: str) -> None:
        """Assert that a check-up finds these faults, and does not repeat what the page says about them."""
        self.page.get_by_role("button", name="Check everything").click()
        for check in checks:
            expect(self.page.locator("#shown-above")).to_contain_text(check)
            row = self.page.locator("#findings > ul > li", has_text=check)
            expect(row).to_have_count(0)

    def all_is_well_again(self, *, sent: int, not_sent: int = 0) -> None:
        """Assert that all checks of the doctor are green, and that the outcomes in reconcile add up."""
        open_page(self.page, LINKEDIN)
        self.page.get_by_role("button", name="Check everything").click()
        expect(self.page.locator("#checked")).to_contain_text(" checks OK · checked")
        for badge in ("Needs fixing", "Check", "Unknown"):
            expect(self.page.locator("#findings")).not_to_contain_text(badge)
        self.reconcile_adds_up(sent=sent, not_sent=not_sent)

    def all_is_sent_oldest_first(self, *, count: int) -> None:
        """Assert that nothing is on hold any more, and that LinkedIn got all `count` events, oldest first."""
        open_page(self.page, f"{EVENTS}?state=on_hold")
        expect(self.page.get_by_text("No matching events")).to_be_visible(
            timeout=10_000
        )
        ids = list(
            ConversionEvent.objects.order_by("pk").values_list("event_id", flat=True)
        )
        assert self.ids_that_linkedin_took() == ids
        assert len(ids) == count

    def reconcile_adds_up(self, *, sent: int, not_sent: int) -> None:
        open_page(self.page, f"{reverse('reconcile')}?week={timezone.localdate()}")
        rows = (
            self.page.get_by_role("table").first.locator("tbody tr").all_inner_texts()
        )
        numbers = [int(re.findall(r"[\d,]+", row)[-1].replace(",", "")) for row in rows]
        assert (numbers[0], sum(numbers[1:-1]), numbers[-1]) == (
            sent,
            not_sent,
            sent + not_sent,
        )
        assert "Sent" in rows[0]

    def ids_that_linkedin_took(self) -> list[str]:
        return [element["eventId"] for element in received(self.sandbox)]
