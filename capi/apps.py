from django.apps import AppConfig


class CapiConfig(AppConfig):
    name = "capi"
    verbose_name = "LinkedIn conversions"

    def ready(self) -> None:
        from capi.selectors import timeline  # noqa: F401 - registers checks and signal handlers
        from crm.selectors.timeline import timeline_notes

        timeline_notes.append(timeline.notes)
