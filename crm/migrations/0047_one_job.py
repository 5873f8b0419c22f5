import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

AT_WORK = ("waiting", "running")
STATES = """
    UPDATE crm_bulkchange SET state = 'failed' WHERE state = 'stopped';
    UPDATE crm_dataexport SET state = 'running' WHERE state IN ('writing', 'packing');
    UPDATE crm_leadimport SET
        step = CASE
            WHEN state IN ('reading', 'checking', 'undoing') THEN state
            WHEN state = 'ready' THEN 'checking'
            WHEN state = 'undone' THEN 'undoing'
            WHEN started_at IS NULL THEN 'reading'
            ELSE 'importing'
        END,
        state = CASE
            WHEN state IN ('reading', 'checking', 'undoing') THEN 'running'
            WHEN state = 'ready' THEN 'paused'
            WHEN state = 'undone' THEN 'done'
            ELSE state
        END;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0046_opt_outs_in_other_rows"),
    ]

    operations = [
        migrations.RenameField("bulkchange", "lead_count", "row_count"),
        migrations.RenameField("leadimport", "uploaded_by", "made_by"),
        migrations.RemoveConstraint("leadimport", "one_import_at_a_time_per_company"),
        migrations.RemoveIndex("leadimport", "imports_at_work"),
        migrations.RemoveIndex("dataexport", "exports_at_work"),
        migrations.AddField(
            "leadimport",
            "step",
            models.CharField(
                choices=[
                    ("reading", "Reading the file"),
                    ("checking", "Checking the rows"),
                    ("importing", "Importing"),
                    ("undoing", "Being undone"),
                ],
                default="reading",
                max_length=10,
            ),
        ),
        migrations.RunSQL(STATES, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "leadimport",
            models.UniqueConstraint(
                fields=["company"],
                condition=Q(state__in=AT_WORK, step__in=("importing", "undoing")),
                name="one_import_at_a_time_per_company",
            ),
        ),
        migrations.AddIndex(
            "leadimport", models.Index(fields=["state"], name="imports_at_work", condition=Q(state__in=AT_WORK))
        ),
        migrations.AddIndex(
            "dataexport", models.Index(fields=["state"], name="exports_at_work", condition=Q(state__in=AT_WORK))
        ),
        migrations.AddField(
            model_name='bulkchange',
            name='chunk',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='bulkchange',
            name='timeouts',
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='dataexport',
            name='chunk',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='leadimport',
            name='chunk',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name='bulkchange',
            name='company',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='crm.company'),
        ),
        migrations.AlterField(
            model_name='bulkchange',
            name='row_count',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='bulkchange',
            name='state',
            field=models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('paused', 'Paused'), ('done', 'Finished'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='waiting', max_length=10),
        ),
        migrations.AlterField(
            model_name='dataexport',
            name='company',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='crm.company'),
        ),
        migrations.AlterField(
            model_name='dataexport',
            name='row_count',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='dataexport',
            name='state',
            field=models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('paused', 'Paused'), ('done', 'Finished'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='waiting', max_length=10),
        ),
        migrations.AlterField(
            model_name='leadimport',
            name='state',
            field=models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('paused', 'Paused'), ('done', 'Finished'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='waiting', max_length=10),
        ),
    ]
