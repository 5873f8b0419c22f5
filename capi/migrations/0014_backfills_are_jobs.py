from django.conf import settings
from django.db import migrations, models

ROWS = """
    UPDATE capi_backfill SET
        row_count = (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(planned)),
        reached = (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(done));
"""


class Migration(migrations.Migration):
    dependencies = [
        ("capi", "0013_held_back_connections"),
    ]

    operations = [
        migrations.RenameField("backfill", "started_by", "made_by"),
        migrations.AddField("backfill", "row_count", models.PositiveIntegerField(db_default=0, default=0)),
        migrations.AddField("backfill", "reached", models.PositiveIntegerField(db_default=0, default=0)),
        migrations.RunSQL(ROWS, migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name='backfill',
            name='one_open_backfill_per_rule',
        ),
        migrations.AddField(
            model_name='backfill',
            name='chunk',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='backfill',
            name='problem',
            field=models.CharField(blank=True, db_default='', default='', max_length=300),
        ),
        migrations.AddField(
            model_name='backfill',
            name='timeouts',
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='backfill',
            name='state',
            field=models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('paused', 'Paused'), ('done', 'Finished'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='waiting', max_length=10),
        ),
        migrations.AddConstraint(
            model_name='backfill',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('waiting', 'running', 'paused'))), fields=('rule',), name='one_open_backfill_per_rule'),
        ),
    ]
