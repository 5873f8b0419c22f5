"""`manage.py create_api_key --company SLUG --role ROLE`: create an API key without the company page."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from crm.models import ApiKey, Company
from crm.models.roles import Role
from crm.services.companies import TooManyKeys, issue_api_key


class Command(BaseCommand):
    help = "Creates an API key and prints it on a line of its own. Only a hash is stored, so it can't be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--company", required=True, metavar="SLUG", help="the company's slug"
        )
        parser.add_argument(
            "--role",
            required=True,
            help=f"what the key may do: {', '.join(Role.values)}",
        )
        parser.add_argument(
            "--name", default="Command line", metavar="TEXT", help="what the key is for"
        )

    def handle(self, *, company: str, role: str, name: str, **options: Any) -> None:
        if role not in Role.values:
            raise CommandError(
                f"There is no role “{role}”. Choose one of: {', '.join(Role.values)}."
            )
        limit = ApiKey._meta.get_field("name").max_length or 0
        if len(name) > limit:
            raise CommandError(
                f"The name has {len(name)} characters. At most {limit} are allowed."
            )
        try:
            _, text = issue_api_key(company=find_company(company), role=role, name=name)
        except TooManyKeys as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)


def find_company(slug: str) -> Company:
    """Return the company with this slug. Raises CommandError, with a list of all slugs, if there is none."""
    company = Company.objects.filter(slug=slug).first()
    if company is None:
        slugs = ", ".join(
            Company.objects.order_by("slug").values_list("slug", flat=True)
        )
        hint = "There are none yet: create one with `manage.py create_company`."
        if slugs:
            hint = f"Existing companies: {slugs}."
        raise CommandError(f"There is no company “{slug}”. {hint}")
    return company
