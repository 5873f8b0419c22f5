"""`.env.example`: each variable that the settings read, once, and values that can be used as they stand."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter

from django.conf import settings

EXAMPLE = settings.BASE_DIR / ".env.example"
SET_BY_MAKE_ALONE = {"LEADMACHINE_MAKE_RUN"}
READ_BY_COMPOSE_ALONE = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "LEADMACHINE_SITE"}


def variables() -> dict[str, str]:
    return dict(
        re.findall(r"^# ([A-Z][A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    )


def read_by_settings() -> set[str]:
    modules = (
        "environment.py",
        "settings.py",
        "settings_accounts.py",
        "settings_delivery.py",
    )
    trees = [
        ast.parse((settings.BASE_DIR / "leadmachine" / module).read_text())
        for module in modules
    ]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    calls = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    of_env = [
        call
        for call in calls
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "env"
    ]
    return {
        str(arg.value)
        for call in of_env
        for arg in call.args[:1]
        if isinstance(arg, ast.Constant)
    }


def test_it_names_exactly_the_variables_that_the_settings_read() -> None:
    assert (
        variables().keys() - READ_BY_COMPOSE_ALONE
        == read_by_settings() - SET_BY_MAKE_ALONE
    )


def test_it_names_each_variable_once() -> None:
    names = re.findall(r"^# ([A-Z][A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)

    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_as_it_stands_it_sets_nothing() -> None:
    assert [
        line
        for line in EXAMPLE.read_text().splitlines()
        if line and not line.startswith("#")
    ] == []


def test_its_values_are_what_development_uses_without_them() -> None:
    values = {name: value for name, value in variables().items() if value}
    development = {"DEBUG": "on", "LINKEDIN_SANDBOX": "on"}

    assert shown(values) == shown(development)


def shown(environment: dict[str, str]) -> str:
    """All settings as a fresh process reads them from this environment."""
    program = """
from leadmachine import settings
for name in filter(str.isupper, sorted(vars(settings))):
    value = getattr(settings, name)
    print(name, float(value) if isinstance(value, int) else repr(value).replace(f"{settings.BASE_DIR}/", ""))
"""
    kept = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": os.environ["DATABASE_URL"],
        **environment,
    }
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=kept,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout
