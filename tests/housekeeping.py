"""Let a day pass, and run the daily housekeeping."""

from datetime import timedelta

from django.db.models.functions import Now

from capi.models import Housekeeping
from leadmachine.housekeeping import keep_house_if_due


def let_a_day_pass() -> None:
    """Set the last housekeeping to a day ago, with no worker at it."""
    row = Housekeeping(pk=1, done_at=Now() - timedelta(days=1))
    fields = ["done_at", "claim_id", "claimed_until"]
    Housekeeping.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=fields
    )


def keep_house() -> None:
    """Run the daily housekeeping from beginning to end. No part of it may fail."""
    let_a_day_pass()
    assert keep_house_if_due()
    assert Housekeeping.objects.filter(
        done_at__gt=Now() - timedelta(hours=1), claim_id=None
    ).exists()
