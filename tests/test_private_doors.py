"""Where the product uses what a package keeps to itself: each place is here with its reason, and no other exists.

A release that changes one of them fails here: its source is no longer the one that was read.
"""

import ast
import inspect
import pkgutil
import zlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from types import FunctionType
from typing import Any

import pytest
from django.conf import settings

from tests.test_enumerations import modules

OURS = ("crm", "capi", "leadmachine", "postgresql")
# Names that are documented, in spite of their underscore: of Django's models, of named tuples, of the standard library.
DOCUMENTED = {
    *(
        "_meta",
        "_default_manager",
        "_base_manager",
        "_state",
        "_fields",
        "_replace",
        "_asdict",
    ),
    *("_exit", "_current_frames"),
}

# What is used, why nothing public serves, and the checksum of its source; None for Python's own, whose versions differ.
DOORS: dict[str, tuple[str, int | None]] = {
    "allauth.account.adapter.DefaultAccountAdapter._get_login_attempts_cache_key": (
        "Only this key says that failed sign-ins are counted by name and address, not by name alone.", 492905611,
    ),
    "allauth.account.internal.flows.login.record_authentication": (
        "Only allauth notes how a session's user has signed in; a new password has to count as one.", 2716663427,
    ),
    "allauth.mfa.recovery_codes.internal.auth.RecoveryCodes": (
        "No setting replaces the class, and it keeps what the codes are made from.", 3458514110,
    ),
    "allauth.mfa.webauthn.internal.auth.begin_registration": (
        "The view asks for no key that stays on the device, which signing in without a password needs.", 4146391057,
    ),
    "allauth.mfa.webauthn.internal.auth.complete_authentication": (
        "The form counts each try for the account, so that a stranger could keep its owner out.", 261842210,
    ),
    "allauth.mfa.webauthn.internal.auth.parse_registration_response": (
        "The form takes the key's id from the browser, not from what is signed.", 3328070697,
    ),
    "allauth.socialaccount.providers.oauth2.views.OAuth2CallbackView._get_state": (
        "The view hands its state, in which the nonce is, to no one.", 3421098113,
    ),
    "django.contrib.auth.tokens.PasswordResetTokenGenerator._make_hash_value": (
        "Whatever ends a link for a new password has to be a part of this value.", 2449012661,
    ),
    "django.core.cache.backends.redis.RedisCache._cache": (
        "Django's cache counts a key in three round trips, for which a request waits.", 3230083429,
    ),
    "django.db.models.base.Model._do_update": (
        "Only here is the UPDATE of a save apart from its INSERT, with the columns that it writes.", 3864685058,
    ),
    "django.db.models.query.QuerySet._prefetch_related_objects": (
        "Nothing public hands a row its related rows that are known already.", 1145318473,
    ),
    "django.forms.models.BaseModelForm._get_validation_exclusions": (
        "A constraint with a column that is no field of the form is not checked otherwise.", 3621100436,
    ),
    "django.forms.models.BaseModelForm._update_errors": (
        "A row's error about a field that the form lacks is a ValueError otherwise.", 3634858328,
    ),
    "drf_spectacular.views.SpectacularAPIView._get_version_parameter": (
        "No setting keeps the schema from repeating a `?version=` of the URL in a header.", 4237134467,
    ),
    "smtplib.SMTP._get_socket": ("The deadline has to begin before the TLS handshake.", None),
    "waitress.server.BaseWSGIServer": ("`_sock` alone takes a socket that gunicorn has opened.", 890913500),
}  # fmt: skip
# Where the scan below sees another name than the one whose source decides.
SEEN_AS = {
    "_prefetched_objects_cache": "django.db.models.query.QuerySet._prefetch_related_objects",
    "_cache": "django.core.cache.backends.redis.RedisCache._cache",
    "_sock": "waitress.server.BaseWSGIServer",
}


@cache
def trees() -> list[ast.Module]:
    paths = (
        path for package in OURS for path in (settings.BASE_DIR / package).rglob("*.py")
    )
    return [
        ast.parse(path.read_text()) for path in paths if "migrations" not in path.parts
    ]


def nodes(*kinds: type[ast.AST]) -> Iterator[Any]:
    return (
        node for tree in trees() for node in ast.walk(tree) if isinstance(node, kinds)
    )


def is_private(name: str | None) -> bool:
    return name is not None and name.startswith("_") and not name.startswith("__")


def is_internal(module: str) -> bool:
    return any(part == "internal" or is_private(part) for part in module.split("."))


def imported() -> set[str]:
    """Names imported from internal modules; of such a module that is imported whole, those that are used of it."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if (
                not isinstance(node, ast.ImportFrom)
                or not node.module
                or node.module.startswith(OURS)
            ):
                continue
            for name in node.names:
                full = f"{node.module}.{name.name}"
                if is_internal(full):
                    found |= used_of(tree, name.asname or name.name, full)
    return found


def used_of(tree: ast.Module, local: str, full: str) -> set[str]:
    if inspect.isroutine(thing(full)) or inspect.isclass(thing(full)):
        return {full}
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {
        f"{full}.{node.attr}"
        for node in attributes
        if isinstance(node.value, ast.Name) and node.value.id == local
    }


def overridden() -> set[str]:
    """Private methods of other packages' classes that ours replace."""
    found = set()
    for module in modules():
        for each in vars(module).values():
            if isinstance(each, type) and each.__module__ == module.__name__:
                found |= {
                    base
                    for name, value in vars(each).items()
                    if (base := replaced(each, name, value))
                }
    return found


def replaced(each: type, name: str, value: object) -> str:
    if (
        not is_private(name)
        or not isinstance(value, FunctionType)
        or not value.__module__.startswith(OURS)
    ):
        return ""
    for base in each.__mro__[1:]:
        if name in vars(base) and not base.__module__.startswith(OURS):
            return f"{base.__module__}.{base.__qualname__}.{name}"
    return ""


def used() -> set[str]:
    """Private attributes and arguments that no code of ours defines."""
    ours = {node.name for node in nodes(ast.FunctionDef, ast.ClassDef)}
    ours |= {node.id for node in nodes(ast.Name) if isinstance(node.ctx, ast.Store)}
    of_self = (node for node in nodes(ast.Attribute) if isinstance(node.ctx, ast.Store))
    ours |= {
        node.attr
        for node in of_self
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    }
    names = {node.attr for node in nodes(ast.Attribute)} - ours - DOCUMENTED
    names |= {argument.arg for argument in nodes(ast.keyword)} - {
        argument.arg for argument in nodes(ast.arg)
    }
    return {SEEN_AS.get(name, name) for name in names if is_private(name)}


def thing(name: str) -> Any:
    """What this name means, such as a method of a class in a module."""
    try:
        return pkgutil.resolve_name(name)
    except AttributeError:
        owner, _, attribute = name.rpartition(".")
        return inspect.getattr_static(thing(owner), attribute)


def source(name: str) -> str:
    owner, _, attribute = name.rpartition(".")
    found = thing(owner).__dict__[attribute]
    if inspect.isclass(found):  # ours, where it has taken theirs over at start-up
        found = next(each for each in found.__mro__ if each.__module__ == owner)
    return inspect.getsource(getattr(found, "func", getattr(found, "__func__", found)))


def test_no_private_name_is_used_but_these() -> None:
    assert imported() | overridden() | used() == set(DOORS)


@pytest.mark.parametrize("name", DOORS)
def test_it_is_the_one_that_was_read(name: str) -> None:
    package, _, _ = name.partition(".")
    reason, checksum = DOORS[name]

    found = zlib.crc32(source(name).encode())

    distribution = packages_distributions().get(package, [""])[0]
    release = distribution and f"{distribution} {version(distribution)}"
    changed = f"{release} has changed {name}: read it, and what uses it here ({reason}). Its checksum is now {found}."
    assert checksum in (found, None), changed
