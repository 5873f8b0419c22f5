"""Which addresses have a likely typo or are of a role, in Python and in the database, and which are not."""

import pytest

from crm.models import Company, Lead
from crm.models.address_problems import (
    DISPOSABLE_DOMAINS,
    ROLES,
    TYPOS,
    UNUSUAL,
    USUAL,
    AddressProblem,
    meant_address,
)
from tests.conftest import make_lead
from tests.plans import analyse, indexes, plans

LIKELY = {
    "ada@gmial.com": "ada@gmail.com",
    "ada@gmal.com": "ada@gmail.com",
    "ada@gamil.com": "ada@gmail.com",
    "ada@gmail.con": "ada@gmail.com",
    "ada@gmail.co": "ada@gmail.com",
    "ada@gnail.com": "ada@gmail.com",
    "ada@hotmial.com": "ada@hotmail.com",
    "ada@hotmal.co.uk": "ada@hotmail.co.uk",
    "ada@outlok.com": "ada@outlook.com",
    "ada@yahooo.com": "ada@yahoo.com",
    "ada@yahoo.couk": "ada@yahoo.co.uk",
    "ada@icoud.com": "ada@icloud.com",
    "ada@tonline.de": "ada@t-online.de",
    "ada@gmx.nett": "ada@gmx.net",
    "Ada.Byron@GMIAL.COM": "Ada.Byron@gmail.com",
}
FINE = [
    *(f"ada@{domain}" for domain in (*UNUSUAL, *USUAL)),
    *(
        f"ada@{domain}"
        for domain in (
            "gail.com", "gmx.de", "gmx.at", "gmx.ch", "email.com", "fastmail.com", "web.de", "freenet.de",
            "orange.fr", "cloud.com", "mail.co", "mail.ru", "live.fr", "live.co", "me.co", "proton.me",
            "yandex.ru", "yahoo.de", "yahoo.co.jp", "outlook.de",
            "hotmail.de", "hushmail.com", "example.com", "gmail.example", "gmial.com.example",
        )
    ),
    "", "ada", "gmial.com@example.com", "ada@mail.gmial.com",
]  # fmt: skip
NO_ADDRESSES = ["gmial.com", "@gmial.com"]


@pytest.mark.parametrize(("address", "meant"), LIKELY.items())
def test_a_likely_typo_has_the_address_that_was_meant(address: str, meant: str) -> None:
    assert meant_address(address) == meant


@pytest.mark.parametrize("address", [*FINE, *NO_ADDRESSES])
def test_an_address_that_may_be_right_has_none(address: str) -> None:
    assert meant_address(address) == ""


def test_each_typo_means_a_provider_and_is_none_itself() -> None:
    assert len({*UNUSUAL, *USUAL}) == 30
    assert set(TYPOS.values()) == {*UNUSUAL, *USUAL}
    assert TYPOS.keys().isdisjoint({*UNUSUAL, *USUAL})


@pytest.mark.django_db
def test_the_database_finds_the_same_typos(company: Company) -> None:
    for address in (*LIKELY, *FINE):
        make_lead(company, email=address)

    found = Lead.objects.with_address_problem(AddressProblem.TYPO)

    assert {*found.values_list("email", flat=True)} == {*LIKELY}


@pytest.mark.django_db
def test_a_role_is_the_whole_of_what_is_before_the_at_sign(company: Company) -> None:
    roles = [f"{role}@example.com" for role in ROLES] + ["INFO@gmial.com"]
    for address in (*roles, "info.byron@example.com", "ada@info.example", "info", ""):
        make_lead(company, email=address)

    found = Lead.objects.with_address_problem(AddressProblem.ROLE)

    assert sorted(found.values_list("email", flat=True)) == sorted([*roles, "info"])


@pytest.mark.django_db
def test_a_disposable_address_is_one_of_a_listed_domain(company: Company) -> None:
    disposable = ["ada@mailinator.com", "ada@YOPMAIL.com", "info@guerrillamail.com"]
    others = ["ada@example.com", "mailinator.com@example.com", "mailinator.com@", ""]
    for address in (*disposable, *others):
        make_lead(company, email=address)

    found = Lead.objects.with_address_problem(AddressProblem.DISPOSABLE)

    assert sorted(found.values_list("email", flat=True)) == sorted(disposable)


def test_no_provider_of_ordinary_addresses_is_disposable() -> None:
    assert DISPOSABLE_DOMAINS.isdisjoint({*UNUSUAL, *USUAL})


@pytest.mark.thorough
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("problem", "index"),
    [
        (AddressProblem.TYPO, "lead_by_domain"),
        (AddressProblem.ROLE, "leads_of_roles"),
    ],
)
def test_an_index_finds_them(
    company: Company, problem: AddressProblem, index: str
) -> None:
    Lead.objects.bulk_create(
        Lead(company=company, last_name="Byron", email=f"a{number}@c{number}.example")
        for number in range(5_000)
    )
    make_lead(company, email="info@gmial.com")
    analyse()

    with plans() as found:
        count = Lead.objects.current().with_address_problem(problem)
        assert count.for_company(company).count() == 1

    assert indexes(found) == {index}
