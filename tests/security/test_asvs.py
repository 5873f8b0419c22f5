"""The table of docs/asvs.md is complete; and what it says of passwords, keys and browsers that no other test shows.

That the tests it names exist is checked by `pytest --covers` (tests/covers.py), which knows them all.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from crm.models import ApiKey, Company, Invitation, Membership
from leadmachine import settings as ours
from tests.conftest import PASSWORD

ROOT: Path = settings.BASE_DIR
TABLE = (ROOT / "docs" / "asvs.md").read_text()
SHOWN_BY = re.compile(r"`|\]\(")  # a test, a command, a document
STATES = {"met", "not applicable", "open"}
LEVELS_1_AND_2 = (
    "1.1:1-2 1.2:1-9 1.3:1-11 1.4:1-3 1.5:1-2 2.1:1-3 2.2:1-3 2.3:1-4 2.4:1 3.2:1-2 3.3:1-4 3.4:1-6 3.5:1-5 3.7:1-2 "
    "4.1:1-3 4.2:1 4.3:1-2 4.4:1-4 5.1:1 5.2:1-3 5.3:1-2 5.4:1-3 6.1:1-3 6.2:1-12 6.3:1-4 6.4:1-4 6.5:1-5 6.6:1-3 "
    "6.8:1-4 7.1:1-3 7.2:1-4 7.3:1-2 7.4:1-5 7.5:1-2 7.6:1-2 8.1:1-2 8.2:1-3 8.3:1 8.4:1 9.1:1-3 9.2:1-4 10.1:1-2 "
    "10.2:1-2 10.3:1-4 10.4:1-11 10.5:1-5 10.6:1-2 10.7:1-3 11.1:1-2 11.2:1-3 11.3:1-3 11.4:1-4 11.5:1 11.6:1 12.1:1-3 "
    "12.2:1-2 12.3:1-4 13.1:1 13.2:1-5 13.3:1-2 13.4:1-5 14.1:1-2 14.2:1-4 14.3:1-3 15.1:1-3 15.2:1-3 15.3:1-7 16.1:1 "
    "16.2:1-5 16.3:1-4 16.4:1-3 16.5:1-3 17.1:1 17.2:1-4 17.3:1-2"
)
# Product code that draws from `random`, none of it secret: waits, and the demo's people and deals.
NOT_SECRET = {"capi/delivery", "crm/jobs", "leadmachine/demo"}


def numbers(section: str, first: str, last: str) -> list[str]:
    return [
        f"{section}.{number}" for number in range(int(first), int(last or first) + 1)
    ]


def rows() -> Iterator[tuple[list[str], str, str]]:
    """For each row its requirements, their state, and what shows it or why."""
    for section, first, last, state, shown in re.findall(
        r"^\| V(\d+\.\d+)\.(\d+)(?:\u2013(\d+))? \|[^|]*\|[^|]*\| ([^|]*) \| ?(.*?) ?\|$",
        TABLE,
        re.MULTILINE,
    ):
        yield numbers(section, first, last), state, shown


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_requirement_has_one_row() -> None:
    wanted = [
        number
        for section, first, last in re.findall(
            r"(\S+):(\d+)(?:-(\d+))?", LEVELS_1_AND_2
        )
        for number in numbers(section, first, last)
    ]

    assert Counter(number for found, _, _ in rows() for number in found) == Counter(
        wanted
    )
    assert len(wanted) == 253


def test_none_is_without_a_state_and_a_test_or_reason() -> None:
    assert [
        found
        for found, state, shown in rows()
        if state not in STATES or len(shown) < len("no XML")
    ] == []
    assert [
        found
        for found, state, shown in rows()
        if state == "met" and not SHOWN_BY.search(shown)
    ] == []


# --- passwords, keys and browsers ------------------------------------------------------------------------------------


def password_fields(client: Client, path: str) -> list[str]:
    return re.findall(
        r"<input[^>]*name=\"[^\"]*password[^\"]*\"[^>]*>",
        client.get(path).content.decode(),
    )


@pytest.mark.django_db
def test_every_password_is_typed_into_a_field_that_hides_it(
    client_as: Callable[..., Client], sales: Membership, settings: Any
) -> None:
    settings.SIGNUP = True
    member, stranger = client_as(sales), Client()

    forms = [password_fields(stranger, path) for path in ("/login/", "/signup/")]
    forms += [
        password_fields(member, path)
        for path in ("/account/password/", "/account/confirm/")
    ]

    assert all(forms)
    for field in chain.from_iterable(forms):
        assert 'type="password"' in field
        assert not re.search(r"onpaste|autocomplete=\"off\"|maxlength", field)


@pytest.mark.django_db
def test_no_password_has_to_be_changed_by_the_calendar(sales: Membership) -> None:
    sales.user.date_joined = timezone.now() - timedelta(days=3_650)
    sales.user.save()

    answer = Client().post(
        "/login/", {"username": "sales@example.com", "password": PASSWORD}
    )

    assert answer.url == "/"


def test_passwords_are_hashed_slowly() -> None:
    assert not hasattr(ours, "PASSWORD_HASHERS")  # Django's, whose first is this one
    assert PBKDF2PasswordHasher.iterations >= 600_000


def test_nothing_secret_is_drawn_from_a_predictable_source() -> None:
    drawing = {
        path.parent.relative_to(ROOT).as_posix()
        for folder in ("capi", "crm", "leadmachine", "postgresql")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^(?:import random|from random )", path.read_text(), re.MULTILINE)
    }

    assert drawing <= NOT_SECRET


@pytest.mark.django_db
def test_keys_have_128_bits_at_least(company: Company) -> None:
    _, key = ApiKey.objects.issue(company=company, role="ops", name="Import")

    assert len(key.partition("_")[2]) * 6 >= 128
    assert len(Invitation().new_token()) * 6 >= 128
    assert 32 * math.log2(len(VALID_KEY_CHARS)) >= 128  # the number of a session
    assert len(Fernet.generate_key()) * 6 >= 2 * 128  # one key for AES and one for HMAC


@pytest.mark.django_db
def test_every_page_has_a_way_out(
    client_as: Callable[..., Client], admin: Membership
) -> None:
    client = client_as(admin)

    for name in (
        "dashboard",
        "leads",
        "deals",
        "company",
        "people",
        "account",
        "linkedin",
        "events",
        "help",
    ):
        assert 'action="/logout/"' in client.get(reverse(name)).content.decode(), name


def test_no_script_stores_anything_in_the_browser() -> None:
    scripts = [path.read_text() for path in (ROOT / "static").rglob("*.js")]

    assert scripts
    assert not any(
        re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie", text)
        for text in scripts
    )
