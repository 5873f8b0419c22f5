"""`manage.py backfill`: past CRM events from the command line."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from capi.models import Backfill
from tests.capi.conftest import send_all, states
from tests.capi.delivery.test_backfill import make_leads

pytestmark = pytest.mark.django_db

PLAN = """\
Lead created (rule {rule.pk}, Lead created):
  To be sent                       3
  Waiting for an e-mail            0
  Skipped: not shared              0
  Skipped: duplicate               0
  Too old                          0
  Already sent                     0
  Already in the log               0
  Lead deleted                     0
  Deal deleted                     0
  CRM events                       3
"""


def backfill(*arguments: str) -> str:
    printed = StringIO()
    call_command("backfill", *arguments, stdout=printed)
    return printed.getvalue()


def test_a_dry_run_tells_the_plan_and_starts_nothing(company, make_rule) -> None:
    make_leads(company, 3)
    rule = make_rule()

    printed = backfill(
        "--company=northwind", f"--rule={rule.pk}", "--days=30", "--dry-run"
    )

    assert printed == PLAN.format(rule=rule)
    assert not Backfill.objects.exists()


def test_it_starts_one_for_each_active_rule_that_has_something_to_send(
    company, other_company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 3)
    make_leads(other_company, 2)
    rule = make_rule()
    make_rule("deal_won")
    make_rule("lead_created", "2", is_active=False)
    make_rule(company=other_company)

    printed = backfill("--company=northwind", "--days=30")

    started = Backfill.objects.get()
    assert printed.startswith(
        PLAN.format(rule=rule) + f"Backfill {started.pk} started."
    )
    assert printed.endswith(
        "Not started. Deal won has nothing to send in this period.\n"
    )
    send_all(company)
    assert states(company) == ["accepted"] * 3
    assert states(other_company) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--company=nobody", "--days=30"), "There is no company 'nobody'."),
        (
            ("--company=northwind", "--days=91"),
            "--days must be from 1 to 90: LinkedIn accepts no older events.",
        ),
        (
            ("--company=northwind", "--days=0"),
            "--days must be from 1 to 90: LinkedIn accepts no older events.",
        ),
        (
            ("--company=northwind", "--days=30"),
            "Northwind BV: A backfill needs a rule that is switched on. Switch on a rule on the LinkedIn page.",
        ),
        (
            ("--company=northwind", "--days=30", "--rule=1"),
            "Northwind BV has no rule 1.",
        ),
    ],
)
def test_what_it_can_not_do_is_refused(
    company, other_company, make_rule, arguments, message
) -> None:
    with pytest.raises(CommandError) as refused:
        backfill(*arguments)

    assert str(refused.value) == message
    assert not Backfill.objects.exists()
