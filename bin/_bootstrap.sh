# Sourced by the other scripts. Finds a Python, finds or fetches uv, installs exactly what uv.lock names into .venv.
# Writes inside this folder only (.tools and .venv), except for uv's shared download cache when there is a home for it.
# POSIX sh. Sets $ROOT, $PYTHON, $UV and $VENV.

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 1
TOOLS=$ROOT/.tools
VENV=$ROOT/.venv
UV_WANTED='uv>=0.9'
cd "$ROOT" || exit 1

say() { printf '%s\n' "[$(basename -- "$0")] $*" >&2; }
give_up() {
    say "$1"
    shift
    for line in "$@"; do say "  $line"; done
    exit 1
}

# A name on PATH is not yet a Python: pyenv puts shims there that only say which versions they could be.
# Prints the interpreter's real path when it runs and is new enough.
real_python() {
    "$1" -I -c 'import sys
if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
    sys.exit(1)
print(sys.executable)' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        PYTHON=$(real_python "$PYTHON") || give_up "PYTHON is set, but it is no working Python 3.11 or newer." \
            "Unset it, or set it to the path of one."
        return
    fi
    for candidate in "$VENV/bin/python" python3 python3.11 python3.12 python3.13 python3.14 python \
        "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/3.*/bin/python3 \
        /usr/local/bin/python3 /usr/bin/python3 /opt/homebrew/bin/python3; do
        if found=$(real_python "$candidate") && [ -n "$found" ]; then
            PYTHON=$found
            return
        fi
    done
    give_up "No Python 3.11 or newer was found, and none is downloaded for you." \
        "Install one (Debian and Ubuntu: apt install python3; macOS: brew install python3)," \
        "or name one you have: PYTHON=/path/to/python3.11 $0"
}

# What pip on this machine is told about indexes and certificates, uv shall know too.
pass_on_index_settings() {
    settings=$("$PYTHON" -I "$ROOT/bin/_index_settings.py") || settings=
    eval "$settings"
}

# uv keeps downloads under the home folder. Without one that can be written, they stay here.
choose_cache() {
    [ -n "${UV_CACHE_DIR:-}" ] && return
    home_cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
    if [ -n "$home_cache" ] && mkdir -p "$home_cache/uv" 2>/dev/null && [ -w "$home_cache/uv" ]; then
        return
    fi
    UV_CACHE_DIR=$TOOLS/uv-cache
    export UV_CACHE_DIR
}

# True when $1 is a uv that this project accepts (the bound stands in pyproject.toml).
good_uv() {
    version=$("$1" --version 2>/dev/null) || return 1
    case $version in
        'uv 0.'[0-8].* | 'uv 0.'[0-8]) return 1 ;;
        'uv '*) return 0 ;;
        *) return 1 ;;
    esac
}

find_uv() {
    for candidate in "$(command -v uv 2>/dev/null)" "$TOOLS/venv/bin/uv" "$TOOLS/target/bin/uv" "$TOOLS/wheel/bin/uv"; do
        if [ -n "$candidate" ] && good_uv "$candidate"; then
            UV=$candidate
            return
        fi
    done
    mkdir -p "$TOOLS" 2>/dev/null && [ -w "$TOOLS" ] || give_up "$ROOT cannot be written." \
        "Clone the repository to a folder of yours."
    log=$TOOLS/bootstrap.log
    : >"$log"
    say "uv, which installs the exact packages of uv.lock, is not here. Fetching it into .tools (nothing else is touched)."

    if "$PYTHON" -m venv --clear "$TOOLS/venv" >>"$log" 2>&1 &&
        "$TOOLS/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$UV_WANTED" >>"$log" 2>&1 &&
        good_uv "$TOOLS/venv/bin/uv"; then
        UV=$TOOLS/venv/bin/uv
        return
    fi
    rm -rf "$TOOLS/venv"
    say "python -m venv with pip did not do it (often python3-venv is not installed). Trying pip --target."
    if "$PYTHON" -m pip install --quiet --disable-pip-version-check --target "$TOOLS/target" "$UV_WANTED" >>"$log" 2>&1 &&
        good_uv "$TOOLS/target/bin/uv"; then
        UV=$TOOLS/target/bin/uv
        return
    fi
    rm -rf "$TOOLS/target"
    say "pip did not do it either. Fetching uv's wheel from the package index with Python alone."
    if "$PYTHON" -I "$ROOT/bin/_fetch_uv.py" "$TOOLS/wheel" >>"$log" 2>&1 && good_uv "$TOOLS/wheel/bin/uv"; then
        UV=$TOOLS/wheel/bin/uv
        return
    fi
    rm -rf "$TOOLS/wheel"
    tail -n 5 "$log" >&2
    give_up "uv could not be had. What was tried stands in .tools/bootstrap.log." \
        "Is the package index reachable from here? Behind a proxy set HTTPS_PROXY, or index-url in pip's configuration." \
        "Or install uv yourself (https://docs.astral.sh/uv/) and run this again."
}

# Runs $UV, keeping what it says for the case of failure.
quiet_uv() {
    "$UV" "$@" >>"$TOOLS/install.log" 2>&1
}

# The same versions and hashes as uv.lock, from the machine's own index: for networks that only see a mirror.
install_from_mirror() {
    groups=$1
    # shellcheck disable=SC2086  # $groups is a list of flags
    "$UV" export --quiet --frozen --no-emit-project $groups --format requirements-txt \
        >"$TOOLS/requirements.txt" 2>>"$TOOLS/install.log" || return 1
    [ -x "$VENV/bin/python" ] || quiet_uv venv --python "$PYTHON" "$VENV" || return 1
    quiet_uv pip install --python "$VENV/bin/python" --require-hashes -r "$TOOLS/requirements.txt" || return 1
    quiet_uv pip install --python "$VENV/bin/python" --no-deps --editable "$ROOT"
}

# Brings .venv to what uv.lock names. $1: "all" with the tools of the developers, "run" without.
install_locked() {
    groups=--all-groups
    [ "$1" = run ] && groups='--no-dev --extra recorded --inexact'
    mkdir -p "$TOOLS" 2>/dev/null
    : >"$TOOLS/install.log" || give_up "$TOOLS cannot be written." "Clone the repository to a folder of yours."
    [ -d "$VENV" ] || say "Installing the packages named in uv.lock into .venv (once; about 100 packages)."
    export UV_PYTHON="$PYTHON"
    # shellcheck disable=SC2086  # $groups is a list of flags
    quiet_uv sync --locked $groups && return
    # shellcheck disable=SC2086
    quiet_uv sync --locked --offline $groups && return # no network, and nothing new is needed from it
    if [ -n "${UV_INDEX:-}${UV_FIND_LINKS:-}" ]; then
        say "That failed with the extra package sources of this machine's pip configuration. Trying without them."
        # shellcheck disable=SC2086
        (unset UV_INDEX UV_FIND_LINKS && quiet_uv sync --locked $groups) && return
    fi
    say "Trying the same versions and hashes through this machine's own package index."
    groups=--all-groups
    [ "$1" = run ] && groups='--no-dev --extra recorded'
    install_from_mirror "$groups" && return
    tail -n 15 "$TOOLS/install.log" >&2
    give_up "The packages could not be installed. All that was said stands in .tools/install.log." \
        "Is the package index reachable from here? Is uv.lock as committed (git status)?"
}

bootstrap() {
    export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
    unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONHOME
    find_python
    choose_cache
    pass_on_index_settings
    find_uv
    install_locked "$1"
}
