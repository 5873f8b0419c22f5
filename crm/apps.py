from django.apps import AppConfig


class CrmConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"

    def ready(self) -> None:
        from crm.accounts import mfa, middleware, receivers  # noqa: F401 - two of them connect signal handlers
        from crm.models import fixtures  # noqa: F401 - connects signal handlers

        mfa.install_recovery_codes()
        mfa.install_authenticator()
