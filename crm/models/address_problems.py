"""What an e-mail address itself says about whether LinkedIn can match it: a likely typo, the address of a role, or a
disposable one.

LinkedIn never says which person it has matched, so this is said before anything is sent. An address is never changed.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from disposable_email_domains import blocklist
from django.db import models
from django.db.models import BooleanField, Func, Q, TextField

from crm.models.many_rows import OneOfTexts

# Thirty large providers of personal addresses: most of those that mailcheck knows (`defaultDomains` in
# https://github.com/mailcheck/mailcheck), and the largest of Germany and France. The names of the first ones are unlike
# any other, so a name that differs in one letter is a typo.
UNUSUAL: Final = (
    "gmail.com", "googlemail.com", "yahoo.com", "yahoo.co.uk", "yahoo.fr", "hotmail.com", "hotmail.co.uk",
    "hotmail.fr", "outlook.com", "icloud.com", "protonmail.com", "rocketmail.com", "comcast.net", "verizon.net",
    "sbcglobal.net", "btinternet.com", "t-online.de", "wanadoo.fr",
)  # fmt: skip
# Short names and words, next to which there are others: only their ending can be a typo.
USUAL: Final = (
    "aol.com", "live.com", "msn.com", "me.com", "mac.com", "ymail.com", "mail.com", "gmx.com", "gmx.net", "att.net",
    "bellsouth.net", "earthlink.net",
)  # fmt: skip
# No top-level domains: https://data.iana.org/TLD/tlds-alpha-by-domain.txt
ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "com": ("con", "cmo", "ocm", "comm", "coom", "ccom", "vom", "xom", "cpm", "cim"),
    "net": ("ney", "nte", "nett", "ner", "neet", "ent"),
    "co.uk": ("couk", "co.ku", "co.uj", "co.ik"),
}
# Those of countries, which an unusual name hardly has.
COUNTRIES: Final[Mapping[str, tuple[str, ...]]] = {"com": ("co", "cm", "om")}
KEYBOARD: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# Differ in one letter and yet exist.
REAL: Final = frozenset({"gail.com"})

# Mailboxes of RFC 2142, and what websites usually have next to these.
ROLES: Final = (
    "abuse", "accounting", "accounts", "admin", "billing", "career", "careers", "contact", "customerservice",
    "enquiries", "feedback", "finance", "hello", "help", "helpdesk", "hostmaster", "hr", "info", "invoices", "jobs",
    "kontakt", "mail", "marketing", "newsletter", "no-reply", "noc", "noreply", "office", "orders", "post",
    "postmaster", "press", "privacy", "purchasing", "reception", "recruiting", "sales", "security", "service",
    "support", "team", "webmaster",
)  # fmt: skip


class AddressProblem(models.TextChoices):
    """Why LinkedIn can hardly match an address with a person."""

    TYPO = "typo", "Likely typo"
    ROLE = "role", "Role address (info@)"
    DISPOSABLE = "disposable", "Disposable address"


def meant_address(address: str) -> str:
    """The address that was probably meant, in which only the domain differs; "" if there is no likely typo."""
    local, _, domain = address.rpartition("@")
    meant = TYPOS.get(domain.lower(), "")
    return f"{local}@{meant}" if local and meant else ""


def _typos() -> dict[str, str]:
    found = {
        typo: domain for domain in (*UNUSUAL, *USUAL) for typo in _misspelled(domain)
    }
    exist = REAL.union(UNUSUAL, USUAL)
    return {typo: domain for typo, domain in found.items() if typo not in exist}


def _misspelled(domain: str) -> Iterator[str]:
    name, _, ending = domain.partition(".")
    endings = ENDINGS.get(ending, ())
    if domain in UNUSUAL:
        endings += COUNTRIES.get(ending, ())
        for misspelled in _misspelled_names(name):
            yield f"{misspelled}.{ending}"
    for misspelled in endings:
        yield f"{name}.{misspelled}"


def _misspelled_names(name: str) -> Iterator[str]:
    """A letter is missing, doubled, swapped with the next one, or is its neighbour on the keyboard. Rarely the first:
    without theirs, gmail and icloud are other names.
    """
    for at, letter in enumerate(name):
        before, after = name[:at], name[at + 1 :]
        yield before + letter + letter + after
        if after:
            yield before + after[0] + letter + after[1:]
        if before:
            yield before + after
            for other in _neighbours(letter):
                yield before + other + after


def _neighbours(letter: str) -> Iterator[str]:
    for row in KEYBOARD:
        at = row.find(letter)
        if at >= 0:
            yield from row[max(at - 1, 0) : at] + row[at + 1 : at + 2]


# The domain that was probably meant, by its misspellings.
TYPOS: Final[Mapping[str, str]] = _typos()
# Providers of addresses that are used once: https://github.com/disposable-email-domains/disposable-email-domains
# It also has misspelled domains that belong to such a provider (gmial.com): these are more likely typos.
DISPOSABLE_DOMAINS: Final = frozenset(blocklist).difference(TYPOS)
_IN_SQL: Final = ", ".join(f"'{role}'" for role in ROLES)


class AddressDomain(Func):
    """The domain of an address in the database, in lower case. Its index makes the list of typos a matter of code."""

    template = "split_part(lower(%(expressions)s), '@', -1)"
    arity = 1
    output_field = TextField()


class IsOfRole(Func):
    """True for an address of one of the ROLES. Without parameters, as `HasName`: it is the condition of an index.

    So a change of ROLES needs a migration, which makes the index again.
    """

    template = "split_part(lower(%(expressions)s), '@', 1) IN (" + _IN_SQL + ")"
    arity = 1
    output_field = BooleanField()


def has_problem(problem: AddressProblem) -> Q:
    """The condition that a lead's address has this problem. It may have several."""
    match problem:
        case AddressProblem.TYPO:
            return Q(OneOfTexts(AddressDomain("email"), list(TYPOS)))
        case AddressProblem.ROLE:
            return Q(IsOfRole("email"))
        case AddressProblem.DISPOSABLE:
            return Q(OneOfTexts(AddressDomain("email"), list(DISPOSABLE_DOMAINS)))
