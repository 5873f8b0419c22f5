"""Each alert exactly once per change, whatever happens, whoever dies, and however many look."""

from collections import Counter

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.capi.alerts.histories import HISTORY, History
from tests.capi.alerts.post_office import PostOffice
from tests.faults import figures

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite, pytest.mark.faults]


@pytest.mark.timeout(600)
def test_each_alert_is_told_exactly_once_per_change_over_random_histories(
    company, line, admin, ops, make_rule, monkeypatch
) -> None:
    rules = [make_rule(), make_rule("deal_won", "104013")]

    @seed(figures.SEED)
    @settings(
        max_examples=figures.rounds(50, long=1_000), deadline=None, database=None,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    @given(HISTORY)
    def run(steps) -> None:
        PostOffice.open_anew()
        with transaction.atomic():
            history = History(company, rules, {"admin@example.com": True}, ops.user)
            for name, *values in steps:
                step = getattr(history, "token_date_" if name == "token_date" else name)
                step(*values, *([monkeypatch] if name == "look_that_dies" else []))
            history.heal()

            assert Counter(history.told()) == Counter(history.expected)
            assert history.open_ones() == set(history.seen)
            figures.count("histories of alerts")
            transaction.set_rollback(True)

    run()
