import unicodedata
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capi.linkedin.identity import email_sha256, normalise_email

SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256_OF_TEST = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"
SHA256_OF_JURGEN = "3d2a5310682ac922a4ba3ffac29753c038ecc44ac4c45c7a3b05ac5e155dd036"

some_blanks = st.text(
    alphabet=" \t\r\n\v\f\x85\xa0\u1680\u2000\u2009\u2028\u202f\u205f\u3000", max_size=5
)
some_words = st.text(
    alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=20
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "email@email.com",
            "f3273dd18d95bc19d51d3e6356e4a679e6f13824497272a270e7bb540b0abb9d",
        ),
        (
            "testing@testing.com",
            "584c4423c421df49955759498a71495aba49b8780eb9387dff333b6f0982c777",
        ),
        (
            "nick@testing.com",
            "9155510f76fbf498f1d9d69198150962106ee10169eae019115efbeb16969921",
        ),
        (
            "WHYAREYOUYELLING@EMAIL.com",
            "691f95429e014a31230a8963ea28daff1da1c2e4d95f9723a4ea36c548ed2e58",
        ),
        ("test@example.com", SHA256_OF_TEST),
        (" Test@Example.COM ", SHA256_OF_TEST),
        (unicodedata.normalize("NFC", "jürgen@example.com"), SHA256_OF_JURGEN),
    ],
)
def test_known_addresses_have_the_known_hashes(address, expected):
    assert email_sha256(address) == expected


def test_a_decomposed_address_is_composed_before_it_is_hashed():
    decomposed = unicodedata.normalize("NFD", "jürgen@example.com")

    assert (
        sha256(decomposed.encode()).hexdigest()
        == "e1e6c3d0be98922655b0b752f0b6f79008610a12d87189bc0abc63723bf3d4d6"
    )
    assert email_sha256(decomposed) == SHA256_OF_JURGEN


@pytest.mark.parametrize(
    "blank", ["\u00a0", "\u2003", "\u3000", "\u2028", "\t", "\r\n"]
)
def test_white_space_of_every_kind_is_removed_everywhere(blank):
    assert (
        email_sha256(f"{blank}test{blank}@example{blank}.com{blank}") == SHA256_OF_TEST
    )


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u202a", "\u202c", "\u200e"]
)
def test_what_comes_along_unseen_when_an_address_is_copied_is_removed(unseen):
    assert email_sha256(f"{unseen}test@exam{unseen}ple.com{unseen}") == SHA256_OF_TEST


def test_a_joiner_that_a_domain_may_have_stays():
    assert (
        normalise_email("test@\u0646\u0627\u0645\u0647\u200c.example")
        == "test@\u0646\u0627\u0645\u0647\u200c.example"
    )


def test_dots_and_plus_tags_stay():
    assert (
        normalise_email("Ada.Love+LinkedIn@Example.com")
        == "ada.love+linkedin@example.com"
    )


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        "",
        "   ",
        "\u00a0\u3000\n",
        SHA256_OF_TEST,
        SHA256_OF_TEST.upper(),
        f" {SHA256_OF_TEST}\n",
        "a\ud800@example.com",
    ],
)
def test_where_there_is_nothing_to_hash_there_is_no_hash(nothing):
    assert email_sha256(nothing) is None


@given(
    local=some_words,
    domain=some_words,
    blanks=st.tuples(some_blanks, some_blanks, some_blanks),
)
def test_case_and_white_space_never_change_the_hash(local, domain, blanks):
    plain = f"{local}@{domain}.example"
    adorned = f"{blanks[0]}{local}@{blanks[1]}{domain}.example{blanks[2]}"

    expected = sha256(unicodedata.normalize("NFC", plain).lower().encode()).hexdigest()

    assert email_sha256(adorned) == expected


@given(st.one_of(st.none(), st.text()))
def test_any_text_gives_a_hash_or_nothing_and_never_the_hash_of_nothing(address):
    hashed = email_sha256(address)

    assert hashed is None or (
        len(hashed) == 64 and set(hashed) <= set("0123456789abcdef")
    )
    assert hashed != SHA256_OF_NOTHING


@given(st.text())
def test_a_hash_is_never_hashed_again(address):
    assert email_sha256(email_sha256(address)) is None
