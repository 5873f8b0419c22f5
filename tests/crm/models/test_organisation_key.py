# ruff: noqa: RUF001 - letters that look like others are the point
"""What makes two spellings one organisation: the same in Python and in the database, whatever the letters."""

import re
import unicodedata

import pytest
from django.db import connection
from django.db.models import Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.models import Company, Lead
from crm.models.organisation import (
    IN_URL,
    KEY_LENGTH,
    OrganisationConverter,
    OrganisationKey,
    organisation_key,
)
from crm.models.tracking.snapshots import supports_returning_old
from tests.conftest import make_lead
from tests.size import sized

ODD = "ßẞſİıΣσςÅÅéǅﬁ㈱Ａ²ØøŁł\u0301\u0323\u00a0\u2003\u3000\t\x1c\x85\u200b김李ЙёΆ💥~-/.%\\'\"aZ 9"
NAMES = st.text(st.sampled_from(ODD), max_size=160) | st.text(
    st.characters(
        codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cn", "Co")
    ),
    max_size=160,
)
SAME = [
    ("Acme Robotics", "  ACME\u00a0\u3000robotics\t"),
    ("Straße", "STRASSE"),
    ("Straße", "STRAẞE"),
    ("Muller ſ", "muller s"),
    ("Müller", "Mu\u0308ller"),
    ("MÜLLER", "müller"),
    ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
    ("ＡＢＣ株式会社", "ABC株式会社"),
    ("ﬁt", "FIT"),
    ("İstanbul", "i\u0307stanbul"),
    ("e\u0301\u0323", "e\u0323\u0301"),
]
APART = [
    ("Müller", "Muller"),
    ("İstanbul", "Istanbul"),
    ("Işık", "Isik"),
    ("Ørsted", "Orsted"),
    ("A B", "AB"),
    ("A", ""),
]


def in_database(names: list[str]) -> list[str]:
    """The keys that the database gives these names: each is a column of one row."""
    company = Company.objects.create(name="Keys", slug="keys")
    keys = {f"key_{at}": OrganisationKey(Value(name)) for at, name in enumerate(names)}
    row = Company.objects.filter(pk=company.pk).values(**keys).get()
    company.delete()
    return [row[name] for name in keys]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_that_differ_in_case_blanks_or_composition_are_one(
    one: str, other: str
) -> None:
    assert organisation_key(one) == organisation_key(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_letters_are_another_organisation(one: str, other: str) -> None:
    assert organisation_key(one) != organisation_key(other)


def test_accents_sort_by_their_letters() -> None:
    names = ["Bach", "Ärzte", "Azur", "Zürich", "Aachen"]

    assert sorted(names, key=organisation_key) == [
        "Aachen",
        "Azur",
        "Ärzte",
        "Bach",
        "Zürich",
    ]


@pytest.mark.django_db
def test_the_database_has_the_same_key_for_each_letter() -> None:
    letters = [
        chr(point)
        for point in range(1, 0x3100)
        if unicodedata.category(chr(point)) not in ("Cn", "Cs", "Co")
    ]
    names = [f"x{letter}X" for letter in letters]
    assert len(names) > 10_000

    found = [
        key
        for at in range(0, len(names), 500)
        for key in in_database(names[at : at + 500])
    ]

    assert [
        name
        for name, key in zip(names, found, strict=True)
        if key != organisation_key(name)
    ] == []


@pytest.mark.django_db
@settings(
    max_examples=sized(300, small=60),
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(NAMES)
def test_the_database_and_python_agree(db: None, name: str) -> None:
    [key] = in_database([name])

    assert key == organisation_key(name)


@settings(max_examples=sized(1_000, small=200), database=None)
@given(NAMES)
def test_a_key_is_its_own_key_and_survives_a_url(name: str) -> None:
    key, converter = organisation_key(name), OrganisationConverter()

    assert organisation_key(key) == key
    assert len(key) <= KEY_LENGTH
    in_url = converter.to_url(key)
    assert converter.to_python(in_url) == key
    assert set(in_url) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-~"
    )


@pytest.mark.parametrize("text", ["~ff", "~c3", "~00", "a~00b"])
def test_what_is_no_text_is_in_no_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"decode|stores"):
        OrganisationConverter().to_python(text)


@pytest.mark.parametrize(
    "address", ["a/b", "../..", "?x=1", "#top", "100% Ltd", "~", "a\\b", "💥"]
)
def test_no_name_leaves_its_place_in_a_path(address: str) -> None:
    in_url = OrganisationConverter().to_url(organisation_key(address))

    assert re.fullmatch(IN_URL, in_url)
    assert not set(in_url) & set("/.?#%\\")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    [
        "\ufdfa" * 160,
        "💥" * 160,
        "김" * 160,
        "ﬃ" * 160,
        "".join(map(chr, range(0x1D400, 0x1D4A0))),
    ],
)
def test_the_longest_names_fit_into_the_index(company: Company, name: str) -> None:
    lead = make_lead(company, organisation=name)

    assert (
        Lead.objects.for_company(company).of_organisation(name.swapcase()).get() == lead
    )


@pytest.mark.django_db
def test_a_save_has_no_statement_more(
    company: Company, django_assert_max_num_queries
) -> None:
    lead = make_lead(company, organisation="Acme")
    lead.organisation = "Acme Robotics"

    # As without the index.
    with django_assert_max_num_queries(1 if supports_returning_old(connection) else 3):
        lead.save()

    assert (
        Lead.objects.for_company(company).of_organisation("ACME robotics").get() == lead
    )
