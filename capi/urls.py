"""capi's pages: the dashboard, the three steps, Recent Events, and the sandbox's other end."""

from django.urls import path

from capi.views import by_hand, connection, dashboard, doctor, events, overview, rule_import, rules, sandbox, setup

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("integrations/linkedin/", setup.setup, name="linkedin"),
    path("integrations/linkedin/token/", connection.save_token, name="token_save"),
    path("integrations/linkedin/token/remove/", connection.remove_token, name="token_remove"),
    path("integrations/linkedin/resume/", connection.resume, name="connection_resume"),
    path("integrations/linkedin/account/", rule_import.save_account, name="ad_account_save"),
    path("integrations/linkedin/check/", doctor.check, name="check"),
    path("integrations/linkedin/rules/new/", rules.new, name="rule_new"),
    path("integrations/linkedin/rules/import/", rule_import.choose, name="rule_import"),
    path("integrations/linkedin/rules/<int:pk>/", rules.detail, name="rule"),
    path("integrations/linkedin/rules/<int:pk>/edit/", rules.edit, name="rule_edit"),
    path("integrations/linkedin/rules/<int:pk>/active/", rules.set_active, name="rule_active"),
    path("integrations/linkedin/rules/<int:pk>/resume/", rules.resume, name="rule_resume"),
    path("integrations/linkedin/rules/<int:pk>/delete/", rules.delete, name="rule_delete"),
    path("integrations/linkedin/rules/<int:pk>/test/", rules.test, name="rule_test"),
    path("integrations/linkedin/tests/<int:pk>/", rules.test_result, name="test_result"),
    path("integrations/linkedin/overview/", overview.overview, name="overview"),
    path("integrations/linkedin/overview/export/", overview.overview_export, name="overview_export"),
    path("integrations/linkedin/events/", events.log, name="events"),
    path("integrations/linkedin/events/retry/", by_hand.retry, name="events_retry"),
    path("integrations/linkedin/events/cancel/", by_hand.cancel, name="events_cancel"),
    path("integrations/linkedin/events/export/", events.log_export, name="events_export"),
    path("integrations/linkedin/events/<int:pk>/", events.detail, name="event"),
    path("sandbox/linkedin/", sandbox.received, name="sandbox"),
]
