from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0045_readings_of_imports'),
    ]

    operations = [
        migrations.AddField(
            model_name='leadimportrow',
            name='is_opted_out',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
