#!/usr/bin/env python
"""The command line of LeadMachine. `python manage.py help` lists the commands."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

    from django.core.management import execute_from_command_line

    from leadmachine import version
    from leadmachine.environment import note_for_command

    # Django answers both with its own version, before it looks for commands. This needs no settings.
    if sys.argv[1:] in (["version"], ["--version"]):
        sys.stdout.write(f"{version.in_full()}\n")
        sys.exit()
    if note := note_for_command(sys.argv):
        sys.stderr.write(f"{note}\n")
    execute_from_command_line(sys.argv)
