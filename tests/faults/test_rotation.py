"""Keys that change while everything runs, and a rotation that is killed again and again (F53)."""

import time

import pytest
from cryptography.fernet import Fernet

from capi.models import Connection
from capi.models.token import seal, unseal
from crm.models import Company
from crm.models.crypto import KeyState, state_of
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.world import make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
ROTATE = ["python", "manage.py", "rotate_token_keys"]


def token_of(company_id: int) -> str:
    return f"AQV-the-token-of-company-{company_id}"


@pytest.fixture
def old_key(settings) -> None:
    settings.TOKEN_KEYS = [OLD]


def make_tokens(count: int) -> None:
    companies = Company.objects.bulk_create(
        Company(name=f"C{n}", slug=f"c{n}") for n in range(count)
    )
    Connection.objects.bulk_create(
        Connection(
            company=each, sealed_token=seal(company_id=each.pk, token=token_of(each.pk))
        )
        for each in companies
    )


def unreadable() -> list[int]:
    """The companies whose token the current keys can't decrypt, or decrypt to another one."""
    sealed = Connection.objects.exclude(sealed_token="").values_list(
        "company_id", "sealed_token"
    )
    return [
        pk for pk, text in sealed if unseal(company_id=pk, sealed=text) != token_of(pk)
    ]


def under_the_new_key() -> int:
    """How many tokens the rotation has reached. It goes from the first row to the last."""
    sealed = Connection.objects.order_by("pk").values_list("sealed_token", flat=True)
    return sum(state_of(text) == KeyState.NEWEST for text in sealed)


@pytest.mark.timeout(1800)
@pytest.mark.covers("F53")
def test_a_rotation_killed_again_and_again_leaves_each_token_readable_and_ends(
    old_key, world, settings
) -> None:
    rows, kills = figures.rounds(1_000, long=10_000), figures.rounds(3, long=100)
    make_tokens(rows)
    pks = list(Connection.objects.order_by("pk").values_list("pk", flat=True))
    settings.TOKEN_KEYS = [NEW, OLD]
    world.environment["LEADMACHINE_TOKEN_KEYS"] = f"{NEW},{OLD}"
    for number in range(kills):
        row = Connection.objects.filter(pk=pks[rows * (number + 1) // (kills + 1)])
        world.start("rotation", ROTATE)
        wait_for(
            lambda row=row: is_rotated(row),
            seconds=60,
            told="the rotation comes to the row",
            every=0.002,
        )

        world.kill("rotation")

        assert unreadable() == []
        assert 0 < under_the_new_key() < rows
        figures.count("kills of a rotation")

    told = world.run(ROTATE)

    assert told.endswith("0 left with older keys\n")
    settings.TOKEN_KEYS = [NEW]
    assert unreadable() == []
    figures.count("token rows rotated", rows)
    assert world.complaints() == []


def is_rotated(row) -> bool:
    return state_of(row.values_list("sealed_token", flat=True).get()) == KeyState.NEWEST


@pytest.mark.representative
@pytest.mark.covers("F53")
def test_an_old_key_that_is_taken_away_too_early_pauses_and_sends_nothing(
    old_key, world, settings
) -> None:
    company = world.connect()
    make_leads(company, 5)
    world.environment["LEADMACHINE_TOKEN_KEYS"] = NEW

    world.start_worker()

    wait_for(
        lambda: Connection.objects.get().is_paused,
        seconds=20,
        told="the connection is paused",
    )
    time.sleep(1)
    assert Connection.objects.get().paused_reason == "token_unreadable"
    assert world.ledger.entries() == []
    told = world.complaints()
    assert [line for line in told if "can't be opened" not in line] == []
    assert len(told) == 1
