"""Requests that wait for a row hold the share of their session and company. No other session or company waits."""

import re
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
import requests

from leadmachine.demo.people import PASSWORD
from tests.faults.installation import Browser, Installation, command

pytestmark = [
    pytest.mark.processes,
    pytest.mark.covers("S57"),
]

TABS = 16
LONG = 120  # seconds


class Person:
    """A signed-in member, who changes the status of a lead in many tabs at once."""

    def __init__(self, url: str, email: str) -> None:
        self.url, self.session = url, requests.Session()
        Browser(url, self.session).post(
            "/login/", form_at="/login/", username=email, password=PASSWORD
        )
        page = self.session.get(f"{url}/leads/", timeout=10).text
        self.token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]

    def see_leads(self) -> requests.Response:
        return requests.get(
            f"{self.url}/leads/", cookies=self.session.cookies.get_dict(), timeout=10
        )

    def set_status(self, lead: int, status: int) -> requests.Response:
        data = {"csrfmiddlewaretoken": self.token, "status": status}
        cookies, path = self.session.cookies.get_dict(), f"/leads/{lead}/status/"
        return requests.post(
            self.url + path, data, cookies=cookies, timeout=LONG, allow_redirects=False
        )


@pytest.fixture
def installation(tmp_path):
    links = {"linkedin_url": "http://127.0.0.1:9", "redis_url": ""}
    seconds = {"LEADMACHINE_WEB_STATEMENT_SECONDS": str(LONG)}
    with Installation(tmp_path, **links, **seconds) as running:
        running.start("web", command("web"))
        running.wait_for_web()
        yield running


def test_requests_that_are_held_delay_nobody_else_and_none_is_refused(installation):
    url = installation.url
    sami, anna = (Person(url, f"{name}@northwind.example") for name in ("sami", "anna"))
    clara = Person(url, "clara@contoso.example")
    with (
        psycopg.connect(installation.database_url) as database,
        ThreadPoolExecutor(TABS) as tabs,
    ):
        lead, status = database.execute(
            "SELECT lead.id, other.id FROM crm_lead lead JOIN crm_company company ON company.id = lead.company_id "
            "JOIN crm_leadstatus other ON other.company_id = company.id AND other.id <> lead.status_id "
            "WHERE company.slug = 'northwind' LIMIT 1 FOR UPDATE OF lead"
        ).fetchone()  # fmt: skip

        held = [tabs.submit(sami.set_status, lead, status) for _ in range(TABS)]
        seen = {
            person.see_leads().status_code
            for _ in range(10)
            for person in (anna, clara)
        }
        early = [each for each in held if each.done()]
        database.rollback()
        answers = {_status(each) for each in held}

    assert seen == {200}
    assert early == []
    assert answers <= {200, 302, 409}


def _status(answer: "Future[requests.Response]") -> int:
    return answer.result().status_code
