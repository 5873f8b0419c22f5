from django.apps import AppConfig

from crm.accounts.mfa import install_authenticator


class CrmConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"

    def ready(self) -> None:
        from crm.accounts import (
            mfa,
            middleware,  # noqa: F401 - so do two of these
            receivers,  # noqa: F401 - it connects its signal handlers
        )
        from crm.models import fixtures  # noqa: F401 - so does this

        mfa.install_recovery_codes()
        install_authenticator()
