import gc

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class LeadMachineConfig(AppConfig):
    name = "leadmachine"

    def ready(self) -> None:
        from leadmachine import checks, outages, production_checks  # noqa: F401 - importing checks registers them

        outages.listen()
        collect_less_garbage()


def collect_less_garbage() -> None:
    """Let garbage collection, which `leadmachine` has disabled, ignore what was imported, and run less often.

    With Python's threshold of 700 objects, it was a third of the time of an import, and a quarter of a `migrate` from
    nothing. A request or a batch leaves few cycles: reference counting frees the rest.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


class OperatorAdminConfig(AdminConfig):
    default_site = "leadmachine.admin.OperatorSite"
