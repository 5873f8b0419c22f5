"""S31, S30: whatever comes from the broker, a worker accepts only ids and JSON, does no harm and doesn't crash."""

import json
import pickle
import random
import string
from typing import Any

import pytest
from celery import current_app
from django.conf import settings as product
from kombu import Exchange, Producer, Queue
from kombu.exceptions import ContentDisallowed, DecodeError

from capi.delivery.wakeup import wake
from capi.models import Attempt
from capi.models.token import UnreadableToken, seal, unseal
from capi.tasks import deliver
from tests.conftest import make_lead
from tests.security.rows import checksum
from tests.size import sized

pytestmark = pytest.mark.django_db

HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**63), 10**40, "", "1", "x", "' OR 1=1 --", "\x00", "\ud800",
    [], [1], {}, {"id": 1}, "../../etc/passwd", "9" * 5000, 1e308, float("nan"), float("inf"), "1; DROP TABLE x",
]  # fmt: skip


@pytest.fixture
def queue() -> Any:
    """A queue of our own on the real broker."""
    with current_app.connection_for_write() as connection:
        made = Queue(
            "hostile", Exchange("hostile"), "hostile", channel=connection.channel()
        )
        made.declare()
        yield made
        made.purge()
        made.delete()


def test_celery_takes_json_alone() -> None:
    assert (product.CELERY_ACCEPT_CONTENT, product.CELERY_TASK_SERIALIZER) == (
        ["json"],
        "json",
    )
    assert list(current_app.conf.accept_content) == ["json"]


def test_a_pickle_is_refused_before_it_is_opened(queue: Any) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("a pickle was opened",))

    Producer(queue.channel).publish(
        pickle.dumps(Harm()), exchange="hostile", routing_key="hostile", content_type="application/x-python-serialize",
        content_encoding="binary", serializer=None,
    )  # fmt: skip
    message = queue.get(no_ack=True, accept=["json"])

    with pytest.raises(ContentDisallowed):
        message.decode()


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[1,", b"nul", b"", b'"\\ud8', b"[" * 5000]
)
def test_what_is_no_json_is_refused(queue: Any, body: bytes) -> None:
    Producer(queue.channel).publish(
        body, exchange="hostile", routing_key="hostile", content_type="application/json", content_encoding="utf-8",
        serializer=None,
    )  # fmt: skip
    message = queue.get(no_ack=True, accept=["json"])

    with pytest.raises((DecodeError, RecursionError)):
        raise_if_readable(message.decode())


def raise_if_readable(decoded: Any) -> None:
    """Raise DecodeError for an empty body as well: it decodes to nothing, which is no message either."""
    if decoded in (b"", "", None):
        raise DecodeError("nothing")


@pytest.mark.sized
def test_odd_messages_do_no_harm(company: Any, other_company: Any) -> None:
    company.conversion_rules.create(
        crm_event="lead_created", linkedin_id="1", name="New"
    )
    make_lead(company)
    before, dice = (checksum(company), checksum(other_company)), random.Random(31)

    messages = [odd(dice) for _ in range(sized(10_000, small=1_000))]

    fallen = [repr(argument)[:60] for argument in messages if not survives(argument)]

    assert fallen == []
    assert (checksum(company), checksum(other_company)) == before
    assert not Attempt.objects.exists()


def odd(dice: random.Random) -> Any:
    """Any JSON value but the id of a company."""
    if dice.random() < 0.3:
        return dice.choice(HOSTILE)
    if dice.random() < 0.5:
        return dice.randrange(10**6, 10 ** dice.randrange(7, 40)) * dice.choice((1, -1))
    return "".join(dice.choice(string.printable) for _ in range(dice.randrange(40)))


def survives(argument: Any) -> bool:
    """True if the task ends without an error."""
    try:
        result = deliver.apply(json.loads(json.dumps([argument])))
    except Exception:
        return False
    return result.state == "SUCCESS"


def test_what_we_send_to_the_broker_is_ids(
    company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        current_app._get_current_object(),
        "send_task",
        lambda name, args, **options: sent.append((name, args)),
    )

    wake(company.pk)

    assert sent == [(deliver.name, [company.pk])]


@pytest.mark.parametrize(
    "stored", ["", "plain-token-from-another-time", "gAAAAA", "x" * 200, "\u00e9"]
)
def test_what_cannot_be_opened_is_never_taken_for_a_token(
    company: Any, stored: str
) -> None:
    """S30, with S25: the stored text itself never comes back."""
    with pytest.raises(UnreadableToken) as refused:
        unseal(company_id=company.pk, sealed=stored)

    assert not stored or stored not in str(refused.value)
    assert (
        unseal(company_id=7, sealed=seal(company_id=7, token="a-good-token"))
        == "a-good-token"
    )
