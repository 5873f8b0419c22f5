from django.apps import AppConfig


class CapiConfig(AppConfig):
    name = "capi"
    verbose_name = "LinkedIn conversions"

    def ready(self) -> None:
        from capi import checks, receivers  # noqa: F401 - registers checks and signal handlers
