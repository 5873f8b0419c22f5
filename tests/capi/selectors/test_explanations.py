"""The catalogue has the words for every outcome of an event, a rule, a connection or an answer; no other place does."""

import importlib
import json
import pkgutil
import re

import pytest
from django.conf import settings
from django.db.models import TextChoices

from capi.linkedin import rules
from capi.linkedin.answers import decide
from capi.linkedin.decisions import Answer, Decision, TransportError
from capi.linkedin.identity import NothingToHash
from capi.models import ConversionEvent, choices
from capi.models.choices import (
    AlertKind,
    AlertResolution,
    BackfillOutcome,
    CrmEventName,
    Frequency,
    MailKind,
    Reason,
    RestCause,
    State,
)
from capi.selectors import explanations
from capi.selectors.explanations.alerts import OPENED
from capi.selectors.explanations.backfills import BACKFILLS, OUTCOMES
from capi.selectors.explanations.connection import WHY
from capi.selectors.explanations.dry_run import NO_HASH
from capi.selectors.explanations.explain import explain
from capi.selectors.explanations.reasons import READINGS, REASONS, REFUSED_WITH
from capi.selectors.explanations.states import ON_HOLD, STATES, Explanation
from crm.models.job import JobState
from leadmachine.help.troubleshooting import ANSWERS, page

ROOT = settings.BASE_DIR
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.iter_modules(
        explanations.__path__, "capi.selectors.explanations."
    )
]
# Where each enumeration that people see has its words; for the others, why their labels are enough.
CATALOGUE = {
    State: STATES,
    Reason: {Reason.NONE: "", **REASONS},
    rules.ReadStatus: READINGS,
    JobState: BACKFILLS,
    BackfillOutcome: OUTCOMES,
    AlertKind: OPENED,
    NothingToHash: NO_HASH,
    RestCause: WHY,
}
LABELS_SAY_IT_ALL = {
    choices.CrmEventName: "the names that crm gives",
    Frequency: "a choice in a form",
    CrmEventName: "what happened in the CRM",
    AlertResolution: "how an alert ended, beside its words",
    MailKind: "which of an alert's words a mail has",
}


def all_words() -> list[Explanation]:
    """Every explanation in the catalogue, except those that are filled in."""
    each = [
        value
        for module in MODULES
        for name, value in vars(module).items()
        if name[0] != "_"
    ]
    inside = [
        one for value in each if isinstance(value, dict) for one in value.values()
    ]
    return list(
        dict.fromkeys(one for one in (*each, *inside) if isinstance(one, Explanation))
    )


EVERYTHING = all_words()


def test_every_code_that_people_meet_has_words() -> None:
    for codes, found in CATALOGUE.items():
        assert set(found) == set(codes), codes


def test_no_enumeration_of_reasons_is_forgotten() -> None:
    known = [*CATALOGUE, *LABELS_SAY_IT_ALL]

    found = [
        one
        for one in vars(choices).values()
        if isinstance(one, type) and issubclass(one, TextChoices)
    ]

    assert [one for one in found if one is not TextChoices and one not in known] == []


def test_each_state_and_each_code_says_what_to_do_next() -> None:
    told = [
        *STATES.values(),
        *REASONS.values(),
        *REFUSED_WITH.values(),
        *READINGS.values(),
        *BACKFILLS.values(),
        ON_HOLD,
    ]

    assert [words.what for words in told if not words.next_step] == []


def test_what_is_bad_leads_to_its_place_in_the_help() -> None:
    anchors = {section.anchor for section in page().sections}
    topics = {words.what: words.topic for words in EVERYTHING if words.tone == "bad"}
    topics |= {
        told.title: told.topic for told in OPENED.values() if told.topic != "{topic}"
    }

    assert {what: topic for what, topic in topics.items() if topic not in anchors} == {}


@pytest.mark.parametrize("words", EVERYTHING, ids=lambda words: words.what[:40])
def test_words_say_what_happened_in_whole_sentences(words: Explanation) -> None:
    assert words.label
    assert words.what[0].isupper()
    assert words.what.endswith(".")
    assert words.next_step == "" or (
        words.next_step[0].isupper() and words.next_step.endswith(".")
    )
    assert "counted" not in words.what.lower() or words is not STATES[State.ACCEPTED]


def test_every_trouble_of_a_request_comes_to_a_reason_with_words() -> None:
    for trouble in TransportError:
        decision = decide(Answer(None, {}, b"", trouble, 1), count=1)

        assert Reason(reason_of(decision)) in REASONS, trouble


def reasons_of(status: int) -> tuple[Reason, ...]:
    """The reasons that the help lists for this status."""
    return ANSWERS.get(str(status)) or ANSWERS[f"other {status // 100}xx"]


def said_by_linkedin(status: int, **fields: str) -> Answer:
    return Answer(
        status, {}, json.dumps({"status": status, **fields}).encode(), None, 1
    )


@pytest.mark.parametrize("status", range(400, 600))
def test_every_answer_comes_to_a_reason_that_the_help_gives_for_it(status: int) -> None:
    decision = decide(said_by_linkedin(status, message="No"), count=1)
    of_others = decide(Answer(status, {}, b"<html>", None, 1), count=1)

    assert reason_of(decision) in reasons_of(status)
    assert reason_of(of_others) in (Reason.UNCLEAR, *reasons_of(status))


def test_a_refusal_that_is_about_the_version_or_the_rule_stands_in_the_help_too() -> (
    None
):
    told = [
        {"code": "VERSION_MISSING"},
        {"message": "Conversion's method should be CONVERSIONS_API"},
    ]

    for fields in told:
        assert reason_of(
            decide(said_by_linkedin(400, **fields), count=1)
        ) in reasons_of(400)


def test_each_answer_that_the_help_names_by_its_number_is_an_answer() -> None:
    named = {answer for answer in ANSWERS if answer.isdigit()}

    assert {int(answer) for answer in named} <= set(range(400, 600))
    assert {
        "401",
        "403",
        "404",
        "400",
        "422",
        "426",
        "429",
        "408",
        "409",
        "413",
        "423",
        "501",
    } <= named


def test_the_help_has_a_place_for_each_of_them() -> None:
    anchors = {section.anchor for section in page().sections}

    assert {words.topic for words in EVERYTHING if words.topic} == anchors
    for section, words in zip(page().sections, page_words(), strict=True):
        assert words.what in section.text
        assert words.next_step in section.text


def page_words() -> list[Explanation]:
    by_topic = {words.topic: words for words in EVERYTHING if words.topic}
    return [by_topic[section.anchor] for section in page().sections]


def test_no_sentence_of_the_catalogue_stands_anywhere_else() -> None:
    sentences = {
        sentence
        for words in EVERYTHING
        for text in (words.what, words.next_step)
        for sentence in re.split(r"(?<=[.]) ", text)
        if len(sentence) > 25
    }
    files = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("capi/**/*.py")]

    copies = [
        f"{path.relative_to(ROOT)}: {sentence}"
        for path in files
        if "explanations" not in path.parts
        for text in [" ".join(path.read_text().split())]
        for sentence in sentences
        if sentence in text
    ]

    assert copies == []


def test_words_are_made_in_the_catalogue_alone() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("capi/**/*.py")
        if re.search(r"\bExplanation\(", path.read_text())
        and "explanations" not in path.parts
    }

    assert makers == set()


@pytest.mark.parametrize(
    ("status", "next_step"),
    [(400, "A time that is too old"), (422, "Correct it on the lead")],
)
def test_a_refusal_with_400_reads_otherwise_than_one_with_422(
    status: int, next_step: str
) -> None:
    words = explain(
        ConversionEvent(
            state=State.REJECTED, reason=Reason.DATA_REFUSED, http_status=status
        ),
        None,
    )

    assert str(status) in words.what
    assert next_step in words.next_step


def test_no_template_compares_a_state_or_a_reason_with_a_text() -> None:
    codes = "|".join(map(re.escape, [*State.values, *filter(None, Reason.values)]))
    compared = re.compile(rf"\{{%[^%]*(?:==|!=|\bin\b)\s*[\"'](?:{codes})[\"']")

    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in ROOT.glob("templates/**/*.html")
        for match in compared.finditer(path.read_text())
    ]

    assert found == []


def reason_of(decision: Decision) -> str:
    """The reason that is stored for the decision."""
    return getattr(decision, "reason", "") or DECIDED[type(decision).__name__]


# What the pipeline stores for decisions that have no reason of their own.
DECIDED = {
    "VersionRetired": Reason.VERSION_RETIRED, "Throttled": Reason.THROTTLED, "RefusedNamed": Reason.DATA_REFUSED,
    "RefusedUnnamed": Reason.DATA_REFUSED, "Rejected": Reason.DATA_REFUSED, "Unclear": Reason.UNCLEAR,
}  # fmt: skip
