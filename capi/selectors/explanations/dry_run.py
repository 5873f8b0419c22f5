"""Dry run results, requests without a value, and text that can't be hashed."""

from typing import Final

from capi.linkedin.identity import NothingToHash
from capi.selectors.explanations.states import Explanation

WOULD_BE_SENT: Final = Explanation(
    "Would be sent",
    "With the current settings, it would be sent within seconds.",
    "No action needed: it is sent when it happens.",
    "good",
)
RULE_IS_OFF: Final = Explanation(
    "Rule off",
    "The rule is switched off, so its events are not sent.",
    "Switch on the rule on the LinkedIn page.",
    "plain",
    topic="dry-run-rule-off",
)
NO_DEAL: Final = Explanation(
    "No deal",
    "This rule is about deals, and this lead has none.",
    "Choose another rule.",
    "plain",
    topic="dry-run-no-deal",
)

NO_CURRENCY: Final = Explanation(
    "Without a value",
    "The deal had an amount but no currency, so no value is sent.",
    "Enter the deal's currency, and its next event has a value.",
    "wait",
    topic="dry-run-no-currency",
)

_NEVER: Final = "A hash of it would never match."
NO_HASH: Final[dict[NothingToHash, Explanation]] = {
    NothingToHash.EMPTY: Explanation(
        "Nothing to hash: blank",
        f"This is blank. {_NEVER}",
        "Enter an address.",
        "bad",
        topic="hash-empty",
    ),
    NothingToHash.IS_HASH: Explanation(
        "Nothing to hash: already a hash",
        f"This is already a SHA-256 hash. {_NEVER}",
        "Enter the address itself.",
        "bad",
        topic="hash-is_hash",
    ),
    NothingToHash.NO_TEXT: Explanation(
        "Nothing to hash: not text",
        "This contains invalid characters (half of a UTF-16 surrogate pair, for example).",
        "Type the address again instead of pasting it.",
        "bad",
        topic="hash-no_text",
    ),
}
