"""The settings for accounts, sessions and second factors."""

from typing import Any

from leadmachine.environment import DEBUG, env

AUTH_USER_MODEL = "crm.User"
AUTHENTICATION_BACKENDS = ["crm.accounts.adapter.EmailBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "crm.accounts.passwords.ContextWordsValidator"},
]
SIGNUP: bool = env.bool("LEADMACHINE_SIGNUP", default=DEBUG)
SIGNUPS_PER_DAY = 20  # from one network
INVITATIONS_PER_HOUR: int = env.int("LEADMACHINE_INVITATIONS_PER_HOUR", default=30)
PASSWORD_RESET_TIMEOUT = 3600
SESSION_ENGINE = "crm.accounts.session_store"
SESSION_COOKIE_AGE = 7 * 24 * 3600
SESSION_IDLE_SECONDS = 8 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "crm.accounts.middleware.csrf_failure"

ACCOUNT_ADAPTER = "crm.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CHANGE_EMAIL = True  # the old address is in use until the new one is confirmed
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # or anyone could make us mail strangers
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_USER_DISPLAY = str
# Not by a code in a mail: the inbox of an open browser is often open next to it.
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "crm.accounts.passwords.ResetTokenGenerator"  # noqa: S105, the name of a class
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    # The key is an IP address and a user name: see AccountAdapter.
    "login_failed": "5/15m/key",
    # These mails may go to strangers, or to people who have not asked for them. A link for a new password works for an
    # hour, so anyone who is refused another still has one.
    "confirm_email": "1/3m/key,5/d/key",
    "manage_email": "10/m/user,20/d/user",
    "reset_password": "20/m/ip,5/h/key",
}
ACCOUNT_FORMS = {
    "login": "crm.accounts.forms.SignInForm",
    "signup": "crm.accounts.forms.SignUpForm",
    "reset_password": "crm.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "crm.accounts.forms.NewPasswordForm",
    "add_email": "crm.accounts.forms.NewAddressForm",
    "change_password": "crm.accounts.forms.ChangePasswordForm",
    "reauthenticate": "crm.accounts.forms.PasswordAgainForm",
}
SOCIALACCOUNT_ADAPTER = "crm.accounts.company_admission.CompanySignInAdapter"
# Allows a sign-in provider on this machine, to try one out. In production, no entered URL may lead to it.
OUTBOUND_TO_LOOPBACK: bool = DEBUG
# What else may be reached in our own network, by addresses that people enter.
OUTBOUND_ALLOWED: list[str] = [
    entry.strip().lower()
    for entry in env.list("LEADMACHINE_OUTBOUND_ALLOWED", default=[])
]
CA_BUNDLE: str = env.str("LEADMACHINE_CA_BUNDLE", default="")
MFA_ADAPTER = "crm.accounts.adapter.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# A finger, face or PIN: the device alone isn't enough.
MFA_WEBAUTHN_USER_VERIFICATION = "required"
# A sign-in takes two requests; there is nothing to guess.
MFA_RATE_LIMITS = {"webauthn_login": "60/m/ip"}
MFA_TOTP_TOLERANCE = 1  # one step of drift either way
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "authenticate": "crm.accounts.forms.CodeForm",
    "reauthenticate": "crm.accounts.forms.CodeAgainForm",
    "activate_totp": "crm.accounts.forms.FirstCodeForm",
    "login_webauthn": "crm.accounts.passkey_forms.PasskeySignInForm",
    "authenticate_webauthn": "crm.accounts.passkey_forms.PasskeyForm",
    "reauthenticate_webauthn": "crm.accounts.passkey_forms.PasskeyAgainForm",
    "add_webauthn": "crm.accounts.passkey_forms.AddPasskeyForm",
    "edit_webauthn": "crm.accounts.passkey_forms.RenamePasskeyForm",
}
