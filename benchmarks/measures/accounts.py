"""Whether response times reveal who has an account: medians for known and for unknown addresses."""

import statistics
import time
from collections.abc import Iterator
from itertools import count

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.test import Client, override_settings

from benchmarks.report import Figure
from crm.models import User

PASSWORD = "correct horse battery staple"
SIGN_UP = {
    "company": "Timed BV",
    "currency": "EUR",
    "time_zone": "UTC",
    "first_name": "Ada",
    "last_name": "Byron",
    "password1": PASSWORD,
}
_networks = count(1)


def known_and_unknown(*, tries: int) -> Iterator[Figure]:
    """Reset, sign up and sign in with addresses that have an account and others, alternately."""
    hashed = make_password(PASSWORD)
    known = [
        User.objects.create(email=f"known{at}@example.com", password=hashed).email
        for at in range(tries)
    ]
    with override_settings(
        SIGNUP=True, ALLOWED_HOSTS=[*settings.ALLOWED_HOSTS, "testserver"]
    ):
        yield _compared("time_of_reset", "/password/reset/", known, "email", {})
        yield _compared("time_of_sign_up", "/signup/", known, "email", SIGN_UP)
        yield _compared(
            "time_of_sign_in",
            "/login/",
            known,
            "username",
            {"password": "a wrong guess"},
        )


def _compared(
    measure: str, path: str, known: list[str], field: str, form: dict[str, str]
) -> Figure:
    pairs = [
        (
            _seconds(path, {**form, field: email}),
            _seconds(path, {**form, field: f"un{email}"}),
        )
        for email in known
    ]
    ours, baseline = (
        statistics.median(times) * 1000 for times in zip(*pairs, strict=True)
    )
    detail = f"known and unknown addresses, {len(known)} of each; ≤ 5 % apart"
    return Figure(
        measure,
        round(ours, 3),
        round(baseline, 3),
        round(ours / baseline, 3),
        "ms",
        detail,
    )


def _seconds(path: str, form: dict[str, str]) -> float:
    """The response time in seconds. Each request comes from another network, so none reaches a limit."""
    number = next(_networks)
    client = Client(
        REMOTE_ADDR=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    )
    started = time.perf_counter()
    answer = client.post(path, form)
    took = time.perf_counter() - started
    assert answer.status_code in (200, 302), answer.status_code
    return took
