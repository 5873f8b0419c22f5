#!/bin/sh
# Makes .venv, and installs a lock file into it. What the Makefile calls; every failure ends with a sentence that says
# what to do, after the words of the tool that failed.
#
#   environment.sh create PYTHON     .venv with this Python, unless it is there and whole
#   environment.sh install LOCK      what the lock file names, by its hashes
#
# Both can be repeated after an interruption, and neither removes anything that it did not make.
set -u
LC_ALL=C # the tools' words are looked at below
export LC_ALL

python=.venv/bin/python

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Whether the tool's words (in $said) hold one of these.
says() {
    printf '%s' "$said" | grep -Eq "$1"
}

# The path of "Permission denied: '/a/path'", or what there is of it, and whose it is.
fail_for_permission() {
    path=$(printf '%s' "$said" | sed -n "s/.*Permission denied: ['\"]\([^'\"]*\)['\"].*/\1/p" | head -n 1)
    path=${path:-$PWD/.venv}
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    owner=$(ls -ld "$path" | awk '{ print $3 }')
    fail "No permission to write to $path: it belongs to $owner, and you are $(id -un)." \
        "Run make as $owner, or in a copy that is yours."
}

fail_for_space() {
    left=$(df -Ph . "${TMPDIR:-/tmp}" | awk 'NR > 1 { print $4 " left on " $6 }' | sort -u | paste -sd, -)
    fail "The disk is full ($left). Make room, some 500 MB, and run make again."
}

# What is wrong with the machine, whichever tool met it.
fail_for_machine() {
    says 'No space left on device|Disk quota exceeded' && fail_for_space
    says 'Read-only file system' &&
        fail "$PWD is on a read-only file system. Run make in a copy that can be written to."
    says 'Permission denied|Operation not permitted' && fail_for_permission
    # Python's venv tells nothing of why its pip could not be unpacked, which takes some 20 MB.
    [ "$kilobytes_left" -lt 32768 ] && fail_for_space
}

# Keep what a tool that failed has left for fail_for_machine, and show what it said.
tell() {
    kilobytes_left=$(df -Pk . | awk 'END { print $4 }')
    printf '%s\n' "$said" >&2
}

fail_for_ensurepip() {
    says 'ensurepip is not available|No module named .?(venv|ensurepip)' &&
        fail "Python's venv is missing. On Debian or Ubuntu: apt install python3-venv"
}

check_python() {
    found=$(command -v "$1") || found=$1
    [ -e "$found" ] ||
        fail "There is no $1. LeadMachine needs Python 3.11 or newer. Name one: make PYTHON=python3.13 ..."
    [ -x "$found" ] || fail "No permission to execute $found. Name another Python: make PYTHON=python3.13 ..."
    said=$("$found" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else 11)' 2>&1)
    case $? in
    0) ;;
    11) fail "LeadMachine needs Python 3.11 or newer. Name one: make PYTHON=python3.13 ..." ;;
    *) fail "$said
$found does not start. Name another Python: make PYTHON=python3.13 ..." ;;
    esac
}

create() {
    check_python "$1"
    [ -L "$python" ] && [ ! -e "$python" ] &&
        fail "The Python that .venv was made with is gone ($(readlink "$python"))." \
            "make clean removes .venv; then try again."
    [ -e .venv ] && [ ! -d .venv ] && fail "$PWD/.venv is no folder. Move it away, and run make again."
    [ -e .venv ] && was_there=yes || was_there=
    echo "Making .venv with $("$1" --version) ..."
    said=$("$1" -m venv .venv 2>&1) && return
    tell
    [ -n "$was_there" ] || rm -rf .venv # half of what we made ourselves
    fail_for_ensurepip
    fail_for_machine
    fail "Python could not make .venv. What it says stands above."
}

install() {
    [ -x "$python" ] || fail "No permission to execute $PWD/$python. make clean removes .venv; then try again."
    # An interruption while .venv was made leaves a Python without pip.
    "$python" -m pip --version >/dev/null 2>&1 || repair
    said=$("$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1" 2>&1) && return
    tell
    says 'DO NOT MATCH THE HASHES' &&
        fail "A package that was downloaded is not the one that $1 names, so it was not installed." \
            "A damaged cache ($python -m pip cache purge) or a mirror (PIP_INDEX_URL) may be why;" \
            "otherwise do not trust it."
    fail_for_machine
    says 'NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|connection broken by|from versions: none' &&
        fail "pip reaches no package index with them: that takes a network, or a proxy" \
            "(HTTPS_PROXY=http://proxy:3128 make ...), or a mirror of your own (PIP_INDEX_URL)." \
            "Run make again then: what is installed stays."
    fail "pip could not install what $1 names. What it says stands above."
}

repair() {
    said=$("$python" -m ensurepip --default-pip 2>&1) && return
    tell
    fail_for_ensurepip
    fail_for_machine
    fail "There is no pip in .venv. make clean removes .venv; then try again."
}

"$@"
