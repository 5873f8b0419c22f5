from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class LeadMachineConfig(AppConfig):
    name = "leadmachine"

    def ready(self) -> None:
        from leadmachine import checks, outages, production_checks  # noqa: F401 - importing checks registers them

        outages.listen()


class OperatorAdminConfig(AdminConfig):
    default_site = "leadmachine.admin.OperatorSite"
