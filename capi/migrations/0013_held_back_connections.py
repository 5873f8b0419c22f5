from typing import Any

from django.db import migrations, models

from postgresql.identity import TableIdentity


def note_database(apps: Any, editor: Any) -> None:
    """Let existing connections send from this database, and from no copy of it."""
    apps.get_model("capi", "Connection").objects.update(sends_from=TableIdentity("capi_connection"))


class Migration(migrations.Migration):

    dependencies = [
        ('capi', '0012_recalls'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='sends_from',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
        migrations.AlterField(
            model_name='backfill',
            name='reason',
            field=models.CharField(blank=True, choices=[('', '-'), ('no_email', 'No e-mail address'), ('opted_out', 'Not shared with ad platforms'), ('already_counted', 'Duplicate'), ('merged', 'Duplicate after a merge'), ('too_old', 'Older than 90 days'), ('lead_deleted', 'Lead deleted'), ('deal_deleted', 'Deal deleted'), ('erased', 'Person erased'), ('taken_back', 'Taken back'), ('cancelled_by_hand', 'Cancelled manually'), ('rule_inactive', 'Rule switched off'), ('rule_deleted', 'Rule deleted'), ('backfill_cancelled', 'Backfill cancelled'), ('data_refused', 'Data rejected'), ('refused', 'Request rejected'), ('throttled', 'Too many requests'), ('server_trouble', 'LinkedIn has technical problems'), ('timed_out', 'Timed out'), ('unreachable', 'LinkedIn unreachable'), ('answer_unreadable', 'Unreadable response'), ('unclear', 'Response not from LinkedIn'), ('rule_forbidden', 'No permission, or unknown rule'), ('rule_not_found', 'Wrong rule id'), ('rule_misconfigured', 'Rule not set up for the Conversions API'), ('no_token', 'No access token'), ('token_refused', 'Access token rejected'), ('token_unreadable', 'Access token unreadable'), ('version_retired', 'API version retired'), ('company_closed', 'Company deactivated'), ('all_paused', 'All sending paused')], max_length=30),
        ),
        migrations.AlterField(
            model_name='connection',
            name='paused_reason',
            field=models.CharField(blank=True, choices=[('', '-'), ('no_email', 'No e-mail address'), ('opted_out', 'Not shared with ad platforms'), ('already_counted', 'Duplicate'), ('merged', 'Duplicate after a merge'), ('too_old', 'Older than 90 days'), ('lead_deleted', 'Lead deleted'), ('deal_deleted', 'Deal deleted'), ('erased', 'Person erased'), ('taken_back', 'Taken back'), ('cancelled_by_hand', 'Cancelled manually'), ('rule_inactive', 'Rule switched off'), ('rule_deleted', 'Rule deleted'), ('backfill_cancelled', 'Backfill cancelled'), ('data_refused', 'Data rejected'), ('refused', 'Request rejected'), ('throttled', 'Too many requests'), ('server_trouble', 'LinkedIn has technical problems'), ('timed_out', 'Timed out'), ('unreachable', 'LinkedIn unreachable'), ('answer_unreadable', 'Unreadable response'), ('unclear', 'Response not from LinkedIn'), ('rule_forbidden', 'No permission, or unknown rule'), ('rule_not_found', 'Wrong rule id'), ('rule_misconfigured', 'Rule not set up for the Conversions API'), ('no_token', 'No access token'), ('token_refused', 'Access token rejected'), ('token_unreadable', 'Access token unreadable'), ('version_retired', 'API version retired'), ('company_closed', 'Company deactivated'), ('all_paused', 'All sending paused')], max_length=30),
        ),
        migrations.AlterField(
            model_name='conversionevent',
            name='reason',
            field=models.CharField(blank=True, choices=[('', '-'), ('no_email', 'No e-mail address'), ('opted_out', 'Not shared with ad platforms'), ('already_counted', 'Duplicate'), ('merged', 'Duplicate after a merge'), ('too_old', 'Older than 90 days'), ('lead_deleted', 'Lead deleted'), ('deal_deleted', 'Deal deleted'), ('erased', 'Person erased'), ('taken_back', 'Taken back'), ('cancelled_by_hand', 'Cancelled manually'), ('rule_inactive', 'Rule switched off'), ('rule_deleted', 'Rule deleted'), ('backfill_cancelled', 'Backfill cancelled'), ('data_refused', 'Data rejected'), ('refused', 'Request rejected'), ('throttled', 'Too many requests'), ('server_trouble', 'LinkedIn has technical problems'), ('timed_out', 'Timed out'), ('unreachable', 'LinkedIn unreachable'), ('answer_unreadable', 'Unreadable response'), ('unclear', 'Response not from LinkedIn'), ('rule_forbidden', 'No permission, or unknown rule'), ('rule_not_found', 'Wrong rule id'), ('rule_misconfigured', 'Rule not set up for the Conversions API'), ('no_token', 'No access token'), ('token_refused', 'Access token rejected'), ('token_unreadable', 'Access token unreadable'), ('version_retired', 'API version retired'), ('company_closed', 'Company deactivated'), ('all_paused', 'All sending paused')], max_length=30),
        ),
        migrations.AlterField(
            model_name='conversionrule',
            name='paused_reason',
            field=models.CharField(blank=True, choices=[('', '-'), ('no_email', 'No e-mail address'), ('opted_out', 'Not shared with ad platforms'), ('already_counted', 'Duplicate'), ('merged', 'Duplicate after a merge'), ('too_old', 'Older than 90 days'), ('lead_deleted', 'Lead deleted'), ('deal_deleted', 'Deal deleted'), ('erased', 'Person erased'), ('taken_back', 'Taken back'), ('cancelled_by_hand', 'Cancelled manually'), ('rule_inactive', 'Rule switched off'), ('rule_deleted', 'Rule deleted'), ('backfill_cancelled', 'Backfill cancelled'), ('data_refused', 'Data rejected'), ('refused', 'Request rejected'), ('throttled', 'Too many requests'), ('server_trouble', 'LinkedIn has technical problems'), ('timed_out', 'Timed out'), ('unreachable', 'LinkedIn unreachable'), ('answer_unreadable', 'Unreadable response'), ('unclear', 'Response not from LinkedIn'), ('rule_forbidden', 'No permission, or unknown rule'), ('rule_not_found', 'Wrong rule id'), ('rule_misconfigured', 'Rule not set up for the Conversions API'), ('no_token', 'No access token'), ('token_refused', 'Access token rejected'), ('token_unreadable', 'Access token unreadable'), ('version_retired', 'API version retired'), ('company_closed', 'Company deactivated'), ('all_paused', 'All sending paused')], editable=False, max_length=30),
        ),
        migrations.RunPython(note_database, migrations.RunPython.noop),
    ]
