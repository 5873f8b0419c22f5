"""What is said of a request that is not made, or goes without a value; and why there is nothing to hash."""

from typing import Final

from capi.linkedin.identity import NothingToHash
from capi.selectors.explanations.states import Explanation

WOULD_BE_SENT: Final = Explanation(
    "Would be sent",
    "As things stand it goes to LinkedIn within seconds.",
    "Nothing to do: it goes when it happens.",
    "good",
)
RULE_IS_OFF: Final = Explanation(
    "Rule off",
    "The rule is switched off: nothing is planned for it.",
    "Switch it on on the LinkedIn page.",
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
    "The deal had an amount but no currency, so that no value goes to LinkedIn.",
    "Enter the deal's currency: its next event then carries a value.",
    "wait",
    topic="dry-run-no-currency",
)

_NEVER: Final = "A hash of it would be a match that never comes."
NO_HASH: Final[dict[NothingToHash, Explanation]] = {
    NothingToHash.EMPTY: Explanation(
        "Nothing to hash: blanks",
        f"There is nothing but blanks. {_NEVER}",
        "Enter an address.",
        "bad",
        topic="hash-empty",
    ),
    NothingToHash.IS_HASH: Explanation(
        "Nothing to hash: a hash already",
        f"This is a SHA-256 hash already. {_NEVER}",
        "Enter the address itself.",
        "bad",
        topic="hash-is_hash",
    ),
    NothingToHash.NO_TEXT: Explanation(
        "Nothing to hash: no text",
        "This holds characters that are no text (half of a pair of UTF-16 signs, for example).",
        "Type the address anew instead of pasting it.",
        "bad",
        topic="hash-no_text",
    ),
}
