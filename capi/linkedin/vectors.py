"""Addresses and their hashes as others publish them: proof that ours are the same."""

from typing import Final, NamedTuple


class Vector(NamedTuple):
    """An address as it is typed, its SHA-256, and who says so."""

    address: str
    sha256: str
    source: str


ADOBE: Final = (
    "LinkedIn's extension for Adobe, its tests (github.com/linkedin-developers/reactor-extension-linkedin-edge)"
)
SEGMENT: Final = "Segment's LinkedIn destination, its tests (github.com/segmentio/action-destinations)"

PUBLISHED: Final = (
    Vector("email@email.com", "f3273dd18d95bc19d51d3e6356e4a679e6f13824497272a270e7bb540b0abb9d", ADOBE),
    Vector("testing@testing.com", "584c4423c421df49955759498a71495aba49b8780eb9387dff333b6f0982c777", SEGMENT),
    Vector("nick@testing.com", "9155510f76fbf498f1d9d69198150962106ee10169eae019115efbeb16969921", SEGMENT),
    Vector("WHYAREYOUYELLING@EMAIL.com", "691f95429e014a31230a8963ea28daff1da1c2e4d95f9723a4ea36c548ed2e58", SEGMENT),
)
