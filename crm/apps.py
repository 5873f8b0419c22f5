from django.apps import AppConfig


class CrmConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"

    def ready(self) -> None:
        from crm.accounts import codes, middleware, receivers  # noqa: F401 - two of them connect signal handlers
        from crm.api.error_messages import install_messages
        from crm.data_exchange.exporting.work import ExportRunner
        from crm.data_exchange.importing.work import ImportRunner
        from crm.jobs.rounds import RUNNERS
        from crm.lists.deals import DEALS
        from crm.lists.leads import LEADS
        from crm.lists.organisations import ORGANISATIONS
        from crm.lists.registry import register
        from crm.lists.tasks import TASKS
        from crm.models import fixtures  # noqa: F401 - connects signal handlers
        from crm.services.bulk_changes import BulkChangeRunner

        codes.install_recovery_codes()
        install_messages()
        RUNNERS.extend((BulkChangeRunner(), ExportRunner(), ImportRunner()))
        register(LEADS, DEALS, TASKS, ORGANISATIONS)
