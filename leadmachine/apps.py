from django.apps import AppConfig


class LeadMachineConfig(AppConfig):
    name = "leadmachine"

    def ready(self) -> None:
        from leadmachine import checks  # noqa: F401 - registers them
