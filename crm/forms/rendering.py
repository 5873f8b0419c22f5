"""How every form of the product is drawn."""

from django.forms.renderers import TemplatesSetting


class FormRenderer(TemplatesSetting):
    """Draws `{{ form }}` and each field with our own templates: labels, help, errors, and a summary of the errors."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
