from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0041_space_of_imports_and_exports'),
    ]

    operations = [
        migrations.AddField(
            model_name='leadimport',
            name='file_format',
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name='leadimportfile',
            name='asked_format',
            field=models.JSONField(null=True),
        ),
    ]
