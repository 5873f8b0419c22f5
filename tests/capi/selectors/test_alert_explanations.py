"""Every kind of alert has its texts, filled in with its facts."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from capi.alerts.evaluate import END_IS_NEWS
from capi.models import Alert, ConversionRule
from capi.models.choices import AlertKind, Reason, RestCause
from capi.selectors.explanations.alerts import (
    CLOSED,
    OPENED,
    explain_closing,
    explain_opening,
)

FACTS = {
    "failed": 4,
    "ended": 20,
    "days": 5,
    "per_week": 12,
    "on": "2026-12-07",
    "version": "202609",
}
REST = {"since": "2026-12-07T09:30:00+00:00", "until": "2026-12-07T10:30:00+00:00"}


def made(kind: str, **fields) -> Alert:
    rule = ConversionRule(name="New {lead}", crm_event="lead_created")
    if kind == AlertKind.RESTING:
        fields["reason"] = RestCause.TROUBLE
    opened = datetime(2026, 12, 7, 9, 40, tzinfo=UTC)
    return Alert(
        kind=kind, rule=rule, facts=FACTS | REST, stage=14, opened_at=opened, **fields
    )


def test_every_kind_has_words_for_its_beginning_and_those_whose_end_is_news_for_it() -> (
    None
):
    assert set(OPENED) == set(AlertKind)
    assert set(CLOSED) == END_IS_NEWS


@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize("reason", [Reason.TOKEN_REFUSED, Reason.RULE_NOT_FOUND])
def test_no_place_is_left_open(kind, reason) -> None:
    for told in (
        explain_opening(made(kind, reason=reason)),
        *([explain_closing(made(kind, reason=reason))] if kind in CLOSED else []),
    ):
        text = " ".join((told.title, told.what, told.next_step, told.topic)).replace(
            "New {lead}", ""
        )
        assert "{" not in text
        assert "}" not in text
        assert not told.title.endswith(".")
        assert told.page_name


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason])
def test_a_pause_is_told_in_the_words_of_its_reason(reason) -> None:
    assert explain_opening(made("connection_paused", reason=reason)).what


@pytest.mark.parametrize("cause", RestCause)
def test_a_rest_says_until_when_in_the_time_zone_that_is_current(cause) -> None:
    alert = made("resting")
    alert.reason = cause

    with timezone.override("Europe/Amsterdam"):
        told = explain_opening(alert)

    assert "11:30 on 7 December" in told.what
