"""The troubleshooting page. Every sentence on it comes from `capi.selectors.explanations`."""

from collections.abc import Iterator, Sequence
from typing import Final

from django.template.loader import render_to_string

from capi.models.choices import Reason, State
from capi.selectors.explanations.alerts import ABOUT
from capi.selectors.explanations.backfills import BACKFILLS, NO_ACTIVE_RULE, RULE_OFF
from capi.selectors.explanations.dry_run import (
    NO_CURRENCY,
    NO_DEAL,
    NO_HASH,
    RULE_IS_OFF,
)
from capi.selectors.explanations.explain import NO_EVENT
from capi.selectors.explanations.reasons import READINGS, REASONS, REFUSED_WITH
from capi.selectors.explanations.states import HELP_PAGE, ON_HOLD, STATES, Explanation
from leadmachine.help.guide import HelpPage, HelpSection

_DATA: Final = (Reason.DATA_REFUSED, Reason.RULE_MISCONFIGURED)
# LinkedIn's responses and the reasons that each may lead to. Covers every status from 400 up.
ANSWERS: Final[dict[str, tuple[Reason, ...]]] = {
    "401": (Reason.TOKEN_REFUSED,),
    "403": (Reason.RULE_FORBIDDEN,),
    "404": (Reason.RULE_NOT_FOUND,),
    "400": (*_DATA, Reason.VERSION_RETIRED),
    "409": _DATA,
    "422": _DATA,
    "426": (Reason.VERSION_RETIRED,),
    "429": (Reason.THROTTLED,),
    "408": (Reason.SERVER_TROUBLE,),
    "413": (Reason.SERVER_TROUBLE,),
    "421": (Reason.SERVER_TROUBLE,),
    "423": (Reason.SERVER_TROUBLE,),
    "425": (Reason.SERVER_TROUBLE,),
    "501": (Reason.REFUSED,),
    "other 4xx": (Reason.REFUSED,),
    "other 5xx": (Reason.SERVER_TROUBLE,),
    "Timeout, or an unreadable response": (
        Reason.TIMED_OUT,
        Reason.UNREACHABLE,
        Reason.ANSWER_UNREADABLE,
    ),
    "A response that is not LinkedIn's": (Reason.UNCLEAR,),
}
# Explanations that are not about an event, by the place where they appear.
OTHER_EXPLANATIONS: Final[dict[str, Sequence[Explanation]]] = {
    "Reading the list of rules": [
        words for words in READINGS.values() if words not in REASONS.values()
    ],
    "Backfill": [*BACKFILLS.values(), RULE_OFF, NO_ACTIVE_RULE],
    "Dry run": [RULE_IS_OFF, NO_DEAL, NO_CURRENCY],
    "Check my hash": list(NO_HASH.values()),
    "Reconcile": [NO_EVENT],
    "Alert": list(ABOUT.values()),
}


def page() -> HelpPage:
    """Return the page: first all reasons, starting with those from LinkedIn's responses, then states and the rest."""
    with_answer = list(
        dict.fromkeys(reason for reasons in ANSWERS.values() for reason in reasons)
    )
    others = [reason for reason in REASONS if reason not in with_answer]
    sections = [_reason_section(reason) for reason in [*with_answer, *others]]
    table = [
        (
            answer,
            [(_explanation(answer, reason).topic, reason.label) for reason in reasons],
        )
        for answer, reasons in ANSWERS.items()
    ]
    intro = render_to_string("leadmachine/help/answers.html", {"table": table})
    sections += [*_refusal_sections(), *_state_sections(), *_other_sections()]
    return HelpPage(HELP_PAGE, "Troubleshooting", intro, tuple(sections))


def _reason_section(reason: Reason) -> HelpSection:
    answers = ", ".join(
        answer for answer, reasons in ANSWERS.items() if reason in reasons
    )
    return _section(
        f"{answers}: {reason.label}" if answers else str(reason.label), REASONS[reason]
    )


def _explanation(answer: str, reason: Reason) -> Explanation:
    if reason == Reason.DATA_REFUSED and answer.isdigit():
        return REFUSED_WITH.get(int(answer), REASONS[reason])
    return REASONS[reason]


def _refusal_sections() -> Iterator[HelpSection]:
    for status, explanation in REFUSED_WITH.items():
        yield _section(f"{Reason.DATA_REFUSED.label} with {status}", explanation)


def _state_sections() -> Iterator[HelpSection]:
    for state in State:
        yield _section(f"State “{STATES[state].label}”", STATES[state])
    yield _section(f"“{ON_HOLD.label}”", ON_HOLD)


def _other_sections() -> Iterator[HelpSection]:
    for place, explanations in OTHER_EXPLANATIONS.items():
        for explanation in explanations:
            yield _section(f"{place}: {explanation.label}", explanation)


def _section(title: str, explanation: Explanation) -> HelpSection:
    html = render_to_string("leadmachine/help/words.html", {"words": explanation})
    return HelpSection(HELP_PAGE, explanation.topic, title, html)
