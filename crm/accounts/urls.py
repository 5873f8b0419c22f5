"""The allauth pages that we use. allauth reverses them by these names."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.usersessions import views as sessions
from django.contrib.auth.decorators import login_not_required
from django.urls import path, re_path
from django.views.generic import RedirectView

from crm.accounts import company_sign_in
from crm.accounts.decorators import checked_again
from crm.accounts.fresh_password import fresh_password, shown_by_oneself
from crm.accounts.passkeys import (
    AddPasskeyView,
    ConfirmByPasskeyView,
    PasskeySignInView,
    PasskeysView,
    RenamePasskeyView,
    SecondFactorView,
)
from crm.accounts.views import (
    AddressView,
    CheckYourInboxView,
    SetUpAppView,
    SignInView,
    SignOutView,
)
from crm.accounts.views import account as account_page

# Pages about the person, not the company: only the person sees them, and changes need a fresh password. allauth's own
# check is not enough, because it lets anyone through who has neither a password nor a second factor.
own_account = shown_by_oneself(account_page)
change = fresh_password()
sign_in = SignInView.as_view()
sign_out = SignOutView.as_view()
reset = login_not_required(RedirectView.as_view(pattern_name="account_reset_password"))

urlpatterns = [
    path("login/", sign_in, name="account_login"),
    path("login/", sign_in, name="login"),
    path("logout/", sign_out, name="account_logout"),
    path("logout/", sign_out, name="logout"),
    path("login/code/", SecondFactorView.as_view(), name="mfa_authenticate"),
    path("login/passkey/", PasskeySignInView.as_view(), name="mfa_login_webauthn"),
    path("login/switched-off/", sign_in, name="account_inactive"),
    path("login/company/", company_sign_in.choose_company, name="choose_company"),
    path("login/company/<slug:code>/", company_sign_in.sign_in, name="company_sign_in"),
    path(
        "login/company/<slug:code>/callback/",
        company_sign_in.callback,
        name="company_sign_in_callback",
    ),
    path("signup/", checked_again(account.signup), name="account_signup"),
    path(
        "confirm-email/",
        CheckYourInboxView.as_view(),
        name="account_email_verification_sent",
    ),
    re_path(
        r"^confirm-email/(?P<key>[-:\w]+)/$",
        account.confirm_email,
        name="account_confirm_email",
    ),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path(
        "password/reset/sent/",
        account.password_reset_done,
        name="account_reset_password_done",
    ),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("account/", own_account, name="account"),
    path("account/", own_account, name="mfa_index"),
    path("account/address/", change(AddressView.as_view()), name="account_email"),
    path(
        "account/password/",
        shown_by_oneself(account.password_change),
        name="account_change_password",
    ),
    path("account/password/set/", reset, name="account_set_password"),
    path("account/confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("account/confirm/code/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path(
        "account/confirm/passkey/",
        ConfirmByPasskeyView.as_view(),
        name="mfa_reauthenticate_webauthn",
    ),
    path("account/app/on/", change(SetUpAppView.as_view()), name="mfa_activate_totp"),
    path("account/app/off/", change(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path(
        "account/recovery-codes/",
        change(recovery_codes.view_recovery_codes),
        name="mfa_view_recovery_codes",
    ),
    path(
        "account/recovery-codes/new/",
        change(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "account/passkeys/",
        shown_by_oneself(PasskeysView.as_view()),
        name="mfa_list_webauthn",
    ),
    path(
        "account/passkeys/new/",
        change(AddPasskeyView.as_view()),
        name="mfa_add_webauthn",
    ),
    path(
        "account/passkeys/<int:pk>/name/",
        change(RenamePasskeyView.as_view()),
        name="mfa_edit_webauthn",
    ),
    path(
        "account/passkeys/<int:pk>/remove/",
        change(passkeys.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
    path(
        "account/sessions/",
        shown_by_oneself(sessions.list_usersessions),
        name="usersessions_list",
    ),
]
