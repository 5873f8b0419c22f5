from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class CrmConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"

    def ready(self) -> None:
        from crm.accounts import codes, middleware, receivers  # noqa: F401 - two of them connect signal handlers
        from crm.api.error_messages import install_messages
        from crm.models import fixtures, search_index  # noqa: F401 - the first connects signal handlers

        connection_created.connect(search_index.give_functions)
        post_migrate.connect(search_index.keep_up_to_date, sender=self)
        codes.install_recovery_codes()
        install_messages()
