"""Where the product uses what a package keeps to itself: each place is here with its reason, and no other exists."""

import re
from pathlib import Path

from django.conf import settings

# Of allauth, by the module that uses it. A release that moves one fails at the import, and the tests named here show a
# change of what it does.
ALLAUTH = {
    ("crm/accounts/codes.py", "mfa.recovery_codes.internal"): "no setting replaces the class: test_second_factor.py",
    ("crm/accounts/codes.py", "mfa.totp.internal"): "the arithmetic of RFC 6238: test_second_factor.py",
    ("crm/accounts/forms.py", "account.internal.flows.email_verification"): "one limit of mails: test_account.py",
    ("crm/accounts/passkey_forms.py", "mfa.webauthn.internal"): "its form limits tries by account: test_passkeys.py",
    ("crm/accounts/passkeys.py", "mfa.webauthn.internal"): "its view asks for no resident key: test_passkeys.py",
    ("crm/accounts/sessions.py", "account.internal.flows.login"): "what a session has shown: test_fresh_password.py",
}


def test_allauth_s_internals_are_used_in_these_places_alone() -> None:
    found = set()
    for folder in ("crm", "capi", "leadmachine", "postgresql"):
        for path in (settings.BASE_DIR / folder).rglob("*.py"):
            for module in re.findall(
                r"^\s*from allauth\.([\w.]*internal[\w.]*) import", path.read_text(), re.MULTILINE
            ):
                found.add((str(Path(path).relative_to(settings.BASE_DIR)), module))

    assert found == set(ALLAUTH)
