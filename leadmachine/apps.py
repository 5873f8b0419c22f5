from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class LeadMachineConfig(AppConfig):
    name = "leadmachine"

    def ready(self) -> None:
        from leadmachine import checks  # noqa: F401 - registers them


class OperatorAdminConfig(AdminConfig):
    default_site = "leadmachine.admin_site.OperatorSite"
