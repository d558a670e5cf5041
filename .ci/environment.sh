#!/bin/sh
# Make or mend the virtual environment that the Makefile's commands run in.
#
#   sh .ci/environment.sh [app|tests|newest]
#
# app and tests install the pins of requirements.txt; newest installs the newest versions that the
# ranges of pyproject.toml allow, with the pinned test tools, and looks for newer ones at each call.
#
# PYTHON names the interpreter (default: the first of python3, python3.13, python3.12, python3.11
# that is 3.11 to 3.13; for newest python3.13, then python3.12), VENV the folder (default: .venv).
#
# A stamp in the folder holds a digest of all that it was made from, so a second call does nothing.
# A folder whose installation was cut short, or that another Python made, is made anew.
set -eu

tools=${1:-app}
venv=${VENV:-.venv}
cd "$(dirname "$0")/.."
stamp=$venv/splicedvae-$tools.stamp
unfinished=$venv/splicedvae-unfinished

say() { printf '%s\n' "$*" >&2; }
fail() { say "Error: $*"; exit 1; }

version_of() { # the X.Y of an interpreter; nothing where it does not run
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null || true
}
supported() { case "$1" in 3.11 | 3.12 | 3.13) return 0 ;; *) return 1 ;; esac; }
candidates="python3 python3.13 python3.12 python3.11" wanted="3.11, 3.12 or 3.13"
if [ "$tools" = newest ]; then candidates="python3.13 python3.12" wanted="3.12 or 3.13"; fi

find_python() { # sets python and version
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
        version=$(version_of "$python")
        [ -n "$version" ] || fail "PYTHON=$PYTHON does not run: name a Python 3.11, 3.12 or 3.13."
        supported "$version" ||
            fail "PYTHON=$PYTHON is Python $version: SplicedVAE needs 3.11, 3.12 or 3.13."
        return
    fi
    seen=
    for python in $candidates; do
        version=$(version_of "$python")
        if supported "$version"; then return; fi
        [ -z "$version" ] || seen="$seen $python is $version;"
    done
    fail "no Python $wanted found (${seen:- none runs;} tried $candidates): install one, or name it" \
        "with PYTHON=/path/to/python3."
}

files="requirements.txt pyproject.toml"
if [ "$tools" != app ]; then files="$files tests/requirements.txt"; fi
# The folder is part of it: neither an environment nor an editable install can be moved.
# shellcheck disable=SC2086
digest="$(cat $files | cksum) $PWD"

if [ -d "$venv" ] && [ -z "$(ls -A "$venv")" ]; then rmdir "$venv"; fi
have=$(version_of "$venv/bin/python")
if [ -e "$venv" ]; then
    reason=
    if [ -e "$unfinished" ]; then
        reason="an installation into it was cut short"
    elif [ -z "$have" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 </dev/null; then
        reason="its Python or pip does not run"
    elif ! supported "$have"; then
        reason="it was made by Python $have"
    elif [ -n "${PYTHON:-}" ]; then
        find_python
        [ "$version" = "$have" ] || reason="it was made by Python $have and PYTHON=$PYTHON is $version"
    fi
    if [ "$tools" != newest ] && [ -z "$reason" ] && [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ]; then exit 0; fi
    # A stamp with another folder's name: the environment was moved or copied here.
    for other in "$venv"/splicedvae-*.stamp; do
        if [ -z "$reason" ] && [ -e "$other" ]; then
            case "$(cat "$other")" in *" $PWD") ;; *) reason="it was made in another folder" ;; esac
        fi
    done
    if [ -n "$reason" ]; then
        find_python
        say "Making $venv anew: $reason."
        [ -f "$venv/pyvenv.cfg" ] || [ -e "$unfinished" ] ||
            fail "$venv is not a virtual environment: move it away, or name another with VENV=."
        rm -rf "$venv"
    fi
fi

if [ ! -e "$venv" ]; then
    find_python
    "$python" -c 'import ensurepip, venv' 2>/dev/null </dev/null ||
        fail "$python has no venv module: install it (on Debian: apt install python3-venv)," \
            "or name another Python with PYTHON=."
    say "Making $venv with Python $version."
    mkdir -p "$venv"
    : >"$unfinished"
    "$python" -m venv "$venv"
fi

: >"$unfinished"
rm -f "$venv"/splicedvae-*.stamp
pip() { "$venv/bin/python" -m pip install --disable-pip-version-check "$@"; }
if [ "$tools" = newest ]; then
    say "Installing the newest versions allowed into $venv: the first time takes some minutes."
    grep -v '^-c ' tests/requirements.txt >"$venv/test-tools.txt"
    set -- --upgrade --upgrade-strategy eager -e ".[dashboard]" -r "$venv/test-tools.txt"
else
    say "Installing the pinned requirements into $venv: the first time takes some minutes."
    set -- -r requirements.txt
    if [ "$tools" = tests ]; then set -- "$@" -r tests/requirements.txt; fi
fi
if ! pip "$@" || { [ "$tools" != newest ] && ! pip --no-deps -e .; }; then
    fail "pip could not install the requirements, see above: mend what it names and start again."
fi
printf '%s\n' "$digest" >"$stamp"
if [ "$tools" = tests ]; then
    # shellcheck disable=SC2086
    printf '%s\n' "$(cat requirements.txt pyproject.toml | cksum) $PWD" >"$venv/splicedvae-app.stamp"
fi
rm -f "$unfinished"
