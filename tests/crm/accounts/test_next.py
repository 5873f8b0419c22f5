"""S19: wherever `next` points, the browser stays on our host. S18: no other host name is trusted."""

from urllib.parse import urljoin, urlsplit
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from tests.conftest import PASSWORD, make_deal, make_lead
from tests.crm.accounts.conftest import sign_in

pytestmark = pytest.mark.django_db

ELSEWHERE = [
    "https://evil.example", "http://evil.example/", "//evil.example", "///evil.example", "////evil.example",
    "/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\\/evil.example", "https:evil.example",
    "https:/evil.example", "https:///evil.example", "http:///evil.example", "HTTPS://EVIL.EXAMPLE",
    "\thttps://evil.example", "\n//evil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example",
    "java\nscript:alert(1)", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,hi", "vbscript:x",
    "ftp://evil.example", "https://testserver@evil.example", "https://testserver.evil.example",
    "https://eviltestserver", "https://evil.example#testserver", "https://evil.example?testserver",
    "https://evil.example\\@testserver", "//evil.example/%2f..", "/%09/evil.example@", "\x00//evil.example",
    "\x1fhttps://evil.example", "https://[::1", "https://crm.example.com", "https://\uff45vil.example",
    "https://evil。example", "//evil%E3%80%82example", "/leads/\r\nSet-Cookie: a=b", "〱https://evil.example",
]  # fmt: skip
HERE = {
    "/leads/",
    "/leads/?page=2",
    "https://testserver/deals/",
    "http://testserver/deals/",
}


def host_of(location):
    # As a browser reads it: tabs and newlines are dropped, and \ is /.
    read = location.translate(
        str.maketrans({"\t": "", "\r": "", "\n": "", "\\": "/"})
    ).strip("".join(map(chr, range(33))))
    return urlsplit(urljoin("http://testserver/login/", read)).netloc


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_stays_on_our_host(sales, settings, target):
    settings.ALLOWED_HOSTS = ["testserver", "crm.example.com"]

    response = Client().post(
        "/login/",
        {"username": "sales@example.com", "password": PASSWORD, "next": target},
    )

    assert response.status_code == 302
    assert host_of(response.headers["Location"]) == "testserver"
    assert "Set-Cookie: a=b" not in str(response.headers["Location"])


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize("path", ["/logout/", "/theme/"])
def test_so_do_signing_out_and_the_colours(client_as, sales, settings, path, target):
    settings.ALLOWED_HOSTS = ["testserver", "crm.example.com"]

    response = client_as(sales).post(path, {"next": target, "theme": "dark"})

    assert host_of(response.headers["Location"]) == "testserver"


@pytest.mark.parametrize("target", ELSEWHERE)
def test_so_does_giving_the_password_again(client_as, sales, target):
    response = client_as(sales).post(
        "/account/confirm/", {"password": PASSWORD, "next": target}
    )

    assert host_of(response.headers["Location"]) == "testserver"


@pytest.mark.parametrize("target", sorted(HERE - {"https://testserver/deals/"}))
def test_places_of_ours_are_gone_to(sales, target):
    response = Client().post(
        "/login/",
        {"username": "sales@example.com", "password": PASSWORD, "next": target},
    )

    assert response.headers["Location"] == target


@pytest.mark.parametrize(
    ("route", "pk", "fields"),
    [
        ("theme", "", {"theme": "dark"}),
        ("outcomes_column", "", {"shown": "1"}),
        ("undo", UUID(int=1), {}),
        ("lead_bulk_status", "", {"status": "status"}),
        ("lead_status", "lead", {"status": "status"}),
        ("deal_move", "deal", {"stage": "stage"}),
        ("events_cancel", "", {}),
        ("events_retry", "", {}),
    ],
)
@pytest.mark.parametrize("word", ["abc", "?page=2"])
def test_a_word_is_no_place_to_go_to(
    client_as, admin, company, route, pk, fields, word
):
    deal = make_deal(make_lead(company))
    ids = {
        "lead": deal.lead_id,
        "deal": deal.pk,
        "status": deal.lead.status_id,
        "stage": deal.stage_id,
    }
    path = reverse(route, args=[ids.get(pk, pk)] if pk else [])

    response = client_as(admin).post(
        path,
        {name: ids.get(value, value) for name, value in fields.items()}
        | {"next": word},
    )

    assert response.status_code == 302
    assert response.url.startswith("/")


BAD_HOSTS = [
    "evil.example", "testserver.evil.example", "eviltestserver", "testserver@evil.example",
    "testserver:80@evil.example", "evil.example:80", "evil.example#testserver", "evil.example?testserver",
    "evil.example/testserver", "testserver/x", "testserver:abc", "testserver:80:80", "testserver:-1", " testserver x",
    "test server", "testserver,evil.example", "testserver\tevil.example", "[::1", "::1]", "[evil.example]",
    "127.0.0.2", "0.0.0.0", "169.254.169.254", "2130706433", "xn--testserver-", "TESTSERVER.EVIL.EXAMPLE",
    "*.testserver", "*", "..", "<script>", "te'st", 'te"st', "te\\st", "tést",
]  # fmt: skip


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_an_unknown_host_is_refused_and_nothing_links_to_it(sales, settings, host):
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()

    page = client.get("/login/", HTTP_HOST=host)
    reset = client.post(
        "/password/reset/", {"email": "sales@example.com"}, HTTP_HOST=host
    )

    assert (page.status_code, reset.status_code) == (400, 400)
    assert host.encode() not in page.content


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_forwarded_host_is_not_read(sales, host):
    page = Client().get("/leads/", headers={"X-Forwarded-Host": host})

    assert page.url == "/login/?next=/leads/"


def test_signing_in_goes_on_to_the_page_that_was_asked_for(sales):
    client = Client()
    asked = client.get("/deals/")
    form = client.get(asked.url).content.decode()

    assert '<input type="hidden" name="next" value="/deals/">' in form
    assert sign_in(Client()).url == "/"
