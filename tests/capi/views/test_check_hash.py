"""Check my hash: the normal form and the hash of any address, stored nowhere, next to published hashes."""

import logging

import pytest
from django.urls import reverse

from capi.linkedin.identity import PUBLISHED, NothingToHash, email_sha256, why_no_hash
from tests.security.rows import checksum

pytestmark = pytest.mark.django_db

PAGE = reverse("check_hash")
TEST = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


def test_it_shows_the_normal_form_and_the_hash(web) -> None:
    page = web.post(PAGE, {"address": " Test@Example.COM "}).content.decode()

    assert "<code>test@example.com</code>" in page
    assert f"<code>{TEST}</code>" in page


@pytest.mark.parametrize("address", ["", "  \t", TEST, TEST.upper()])
def test_it_says_why_there_is_nothing_to_hash(web, address) -> None:
    page = web.post(
        PAGE, {"address": address, "csrfmiddlewaretoken": "-"}
    ).content.decode()

    assert "Nothing to hash: " in page
    assert "SHA-256</dt>" not in page


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (" ", NothingToHash.EMPTY),
        (TEST, NothingToHash.IS_HASH),
        ("\ud800@example.com", NothingToHash.NO_TEXT),
        ("ada@example.com", None),
    ],
)
def test_there_is_a_reason_exactly_where_there_is_no_hash(address, why) -> None:
    assert why_no_hash(address) == why
    assert (email_sha256(address) is None) == (why is not None)


def test_published_hashes_are_shown_beside_ours(web) -> None:
    page = web.get(PAGE).content.decode()

    assert all(email_sha256(vector.address) == vector.sha256 for vector in PUBLISHED)
    assert page.count("Same</span>") == len(PUBLISHED) == 4
    assert "Differs" not in page


def test_the_address_is_neither_stored_nor_logged(web, company, caplog) -> None:
    before = checksum(company)

    with caplog.at_level(logging.DEBUG):
        web.post(PAGE, {"address": "Canary.Bird@example.com"})

    assert checksum(company) == before
    assert "canary" not in caplog.text.lower()
    assert "canary" not in str(dict(web.session)).lower()


def test_a_sales_rep_may_not(client_as, sales) -> None:
    assert (
        client_as(sales).post(PAGE, {"address": "ada@example.com"}).status_code == 403
    )
