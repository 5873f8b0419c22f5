"""Each change causes exactly one alert, whatever happens, whichever process dies and however many look."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, example, given, seed
from hypothesis import settings as how

from capi.models import ConversionRule
from capi.models.choices import AlertKind, MailKind
from tests.capi.alerts.histories import ADMIN, EVERY_KIND, HISTORY, OPS, TODAY, History
from tests.capi.alerts.measured import HISTORY as WEEKS
from tests.capi.alerts.measured import Flow
from tests.capi.alerts.post_office import PostOffice
from tests.faults import figures

pytestmark = [pytest.mark.django_db, pytest.mark.faults]

# These are fields as well.
NAMES_OF_STEPS = {"token_date": "token_date_", "version": "version_"}


@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.timeout(900)
def test_each_alert_is_told_exactly_once_per_change_over_random_histories(
    company, line, admin, ops, make_rule, monkeypatch, settings
) -> None:
    rules = [make_rule(), make_rule("deal_won", "104013")]
    ConversionRule.objects.update(created_at=TODAY - timedelta(weeks=20))
    Flow(rules[0], TODAY).write(TODAY - WEEKS)
    told: Counter[str] = Counter()

    @seed(figures.SEED)
    @how(
        max_examples=figures.rounds(50, long=1_000), database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    @example(EVERY_KIND)
    @given(HISTORY)
    def run(steps) -> None:
        PostOffice.open_anew()
        with transaction.atomic():
            history = History(
                company, rules, {ADMIN: admin.user, OPS: ops.user}, settings
            )
            history.look()
            for name, *values in steps:
                step = getattr(history, NAMES_OF_STEPS.get(name, name))
                step(*values, *([monkeypatch] if name == "look_that_dies" else []))
            history.heal()

            assert Counter(history.told()) == Counter(history.expected)
            assert history.open_ones() == set(history.seen)
            told.update(
                kind if news != MailKind.WEEK else news
                for _, (news, kind, _) in history.told()
            )
            figures.count("histories of alerts")
            transaction.set_rollback(True)

    run()
    print(f"Told in these histories: {dict(told)}")
    assert set(told) == {*AlertKind, MailKind.WEEK}
