from django.apps import AppConfig


class CrmConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"

    def ready(self) -> None:
        from crm import sign_ins  # noqa: F401 - it connects its signal handlers
        from crm.accounts import addresses, recovery_codes, second_factor, sessions  # noqa: F401 - so do two of these
        from crm.models import restoring  # noqa: F401 - so does this

        recovery_codes.install()
        second_factor.install()
