"""What runs before a commit and in CI is what `make` and .ci/run do: there is no second list of checks."""

import re
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

ROOT: Path = settings.BASE_DIR
MAKEFILE = (ROOT / "Makefile").read_text()
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What a workflow may do besides: prepare the folder.
PREPARING = re.compile(r"git config --global --add safe\.directory .+")


def hooks(stage: str) -> list[str]:
    """The commands of the hooks of this stage."""
    return [
        hook["entry"]
        for repository in HOOKS
        for hook in repository["hooks"]
        if stage in hook["stages"]
    ]


def parts_of(target: str) -> list[str]:
    """The targets that this one makes side by side."""
    recipe = re.search(
        rf"^{target}:.*\n((?:\t.*\n|[^\t\n].*\\\n)+)", MAKEFILE, re.MULTILINE
    )
    assert recipe
    return re.findall(r"\b[\w-]+-checks\b", recipe[1])


def test_the_hooks_before_a_commit_are_the_static_checks() -> None:
    parts = parts_of("static-checks")

    assert len(parts) == 2
    assert hooks("pre-commit") == [f"make {part}" for part in parts]
    assert hooks("pre-push") == ["make quick"]


def test_every_hook_is_a_command_of_ours() -> None:
    assert {repository["repo"] for repository in HOOKS} == {"local"}


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_runs_what_ci_runs_and_nothing_else() -> None:
    [path] = WORKFLOWS
    workflow = yaml.safe_load(path.read_text())

    commands = [step["run"] for step in steps(workflow) if "run" in step]
    checks = [command for command in commands if not PREPARING.fullmatch(command)]
    assert checks == [".ci/run"]
    assert workflow["permissions"] == {"contents": "read"}
    assert (ROOT / ".ci" / "run").read_text().endswith("\nmake check\n")


def test_actions_are_pinned_to_a_commit() -> None:
    for path in WORKFLOWS:
        used = [step["uses"] for step in steps(yaml.safe_load(path.read_text())) if "uses" in step]  # fmt: skip

        assert used
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)


def test_a_release_is_made_after_all_checks() -> None:
    assert re.search(r"^release: check\n", MAKEFILE, re.MULTILINE)
