"""A response takes as long whether or not there is an account: its work is counted, and mails are sent after it."""

from collections import Counter
from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crm.accounts import mails
from crm.models import AccountMail, AuditEntry, Company, Membership, User
from crm.models.crypto import unseal
from crm.models.roles import Role
from tests.conftest import PASSWORD
from tests.crm.accounts.test_sign_up import FORM

pytestmark = pytest.mark.django_db

ROUNDS: Counter[str] = Counter()
WRITES = ("INSERT", "UPDATE", "DELETE")
KNOWN, UNKNOWN = "sales@example.com", "nobody@example.com"


class CountingHasher(PBKDF2PasswordHasher):
    """Counts its rounds, which are nearly all of the time that a password takes."""

    iterations = 1_000

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        ROUNDS["rounds"] += iterations or self.iterations
        return super().encode(password, salt, iterations)


@pytest.fixture(autouse=True)
def _counting(settings, sales) -> Iterator[None]:
    settings.PASSWORD_HASHERS = [f"{CountingHasher.__module__}.CountingHasher"]
    sales.user.set_password(PASSWORD)
    sales.user.save()
    yield
    ROUNDS.clear()


@pytest.fixture(autouse=True)
def _posted() -> None:
    """Send nothing between the responses: only their own work counts."""


def work(path, fields, **environment) -> tuple[int, Counter[str], int]:
    """The number of hashing rounds, of statements by first word, and of mails queued by this request."""
    ROUNDS.clear()
    queued = AccountMail.objects.count()
    client = Client()
    client.get("/login/")
    with CaptureQueriesContext(connection) as statements:
        answer = client.post(path, fields, **environment)
    assert answer.status_code in (200, 302)
    assert mail.outbox == []
    verbs = Counter(
        each["sql"].split()[0]
        for each in statements.captured_queries
        if "SAVEPOINT" not in each["sql"]
    )
    return ROUNDS["rounds"], verbs, AccountMail.objects.count() - queued


def test_a_reset_does_the_same_for_those_who_have_an_account_and_those_who_have_none():
    known, unknown = (
        work("/password/reset/", {"email": email}) for email in (KNOWN, UNKNOWN)
    )

    assert known == unknown
    assert known[2] == 1


def test_a_sign_up_does_the_same_for_those_who_have_an_account_and_those_who_have_none():
    known, unknown = (
        work("/signup/", {**FORM, "email": email}) for email in (KNOWN, UNKNOWN)
    )

    assert known[0] == unknown[0] == CountingHasher.iterations
    assert known[2] == unknown[2] == 1
    assert {verb: known[1][verb] for verb in WRITES} == {
        verb: unknown[1][verb] for verb in WRITES
    }
    # Of about 0.2 ms each.
    assert known[1]["SELECT"] == pytest.approx(unknown[1]["SELECT"], abs=4)
    assert User.objects.count() == 2
    assert Company.objects.count() == 2


def test_a_sign_in_hashes_as_much_for_known_and_unknown_names():
    rounds = [
        work("/login/", {"username": name, "password": "wrong"})[0]
        for name in (KNOWN, UNKNOWN)
    ]

    assert rounds == [CountingHasher.iterations] * 2


def test_a_failed_sign_in_writes_once_however_many_companies_a_person_has(sales):
    one = work("/login/", {"username": KNOWN, "password": "wrong"})
    for number in range(3):
        company = Company.objects.create(name=f"C{number}", slug=f"c{number}")
        Membership.objects.create(company=company, user=sales.user, role=Role.SALES)

    assert work("/login/", {"username": KNOWN, "password": "wrong"}) == one
    assert AuditEntry.objects.filter(action="sign_in_failed").count() == 5


def test_what_waits_to_be_sent_lets_nobody_in_who_reads_the_database():
    Client().post("/password/reset/", {"email": KNOWN})

    (content,) = AccountMail.objects.values_list("content", flat=True)
    assert KNOWN not in content
    assert KNOWN in unseal(content)


def test_nothing_is_left_of_a_mail_that_was_sent_or_was_for_nobody():
    for email in (KNOWN, UNKNOWN):
        Client().post("/password/reset/", {"email": email})

    sent = mails.send_due()

    assert sent == 1
    assert [message.to for message in mail.outbox] == [[KNOWN]]
    assert not AccountMail.objects.exists()
