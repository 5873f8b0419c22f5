"""Members of a company whose requests never end hold their share of the web server, and no other company waits."""

import os
import re
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
import requests

from leadmachine.demo.people import PASSWORD
from tests.faults.installation import Browser, Installation, command, wait_for

pytestmark = [
    pytest.mark.processes,
    pytest.mark.covers("S57"),
    pytest.mark.skipif("sqlite" in os.environ["DATABASE_URL"], reason="only a lock of PostgreSQL's can hold a request"),
]

AT_ONCE = 8
LONG = 120


class Person:
    """A signed-in member, who changes the status of a lead in several tabs at once."""

    def __init__(self, url: str, email: str) -> None:
        self.url, self.session = url, requests.Session()
        Browser(url, self.session).post("/login/", form_at="/login/", username=email, password=PASSWORD)
        page = self.session.get(f"{url}/leads/", timeout=10).text
        self.token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, cookies=self.session.cookies.get_dict(), timeout=LONG)

    def set_status(self, lead: int, status: int) -> requests.Response:
        data = {"csrfmiddlewaretoken": self.token, "status": status}
        cookies, path = self.session.cookies.get_dict(), f"/leads/{lead}/status/"
        return requests.post(self.url + path, data, cookies=cookies, timeout=LONG, allow_redirects=False)


@pytest.fixture
def installation(tmp_path):
    links = {"linkedin_url": "http://127.0.0.1:9", "redis_url": ""}
    seconds = {"LEADMACHINE_WEB_STATEMENT_SECONDS": str(LONG)}
    with Installation(tmp_path, **links, **seconds) as running:
        running.start("web", command("web"))
        running.wait_for_web()
        yield running


def test_requests_that_never_end_take_no_more_than_their_companys_share(installation):
    url = installation.url
    sami, anna = (Person(url, f"{name}@northwind.example") for name in ("sami", "anna"))
    clara = Person(url, "clara@contoso.example")
    with psycopg.connect(installation.database_url) as database, ThreadPoolExecutor(4 * AT_ONCE) as tabs:
        lead, status = database.execute(
            "SELECT lead.id, other.id FROM crm_lead lead JOIN crm_company company ON company.id = lead.company_id "
            "JOIN crm_leadstatus other ON other.company_id = company.id AND other.id <> lead.status_id "
            "WHERE company.slug = 'northwind' LIMIT 1 FOR UPDATE OF lead"
        ).fetchone()  # fmt: skip

        held = [tabs.submit(sami.set_status, lead, status) for _ in range(AT_ONCE)]
        wait_for(lambda: _answered(held) == AT_ONCE - 3, seconds=30, told="all but three are refused")
        also_held = [tabs.submit(anna.set_status, lead, status) for _ in range(AT_ONCE)]
        wait_for(lambda: _answered(also_held) == AT_ONCE - 1, seconds=30, told="all but one are refused")
        colleague, other = anna.get("/leads/"), clara.get("/leads/")
        refused = [each.result() for each in held + also_held if each.done()]
        database.rollback()
        ended = {each.result().status_code for each in held + also_held} - {429}

    assert {answer.status_code for answer in refused} == {429}
    assert all("Nothing was saved." in answer.text and answer.headers["Retry-After"] for answer in refused)
    assert (colleague.status_code, other.status_code) == (429, 200)
    assert ended <= {200, 302, 409}
    assert sami.get("/leads/").status_code == 200


def _answered(tabs: "list[Future[requests.Response]]") -> int:
    return sum(tab.done() for tab in tabs)
