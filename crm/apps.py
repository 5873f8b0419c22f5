from django.apps import AppConfig


class CrmConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"

    def ready(self) -> None:
        from crm.accounts import addresses, sessions  # noqa: F401 - they connect their signal handlers
        from crm.models import restoring  # noqa: F401 - so does this
