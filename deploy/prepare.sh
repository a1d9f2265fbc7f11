# Sourced by the scripts beside it: finds cargo, a C compiler and PostgreSQL's programs, and installs by apt what is missing.
# Leaves $postgres_bin set. Where it cannot help, it ends with the one command to type.

stop_with() {
    printf '%s\n' "$1" >&2
    exit 1
}

# The installer of a system other than Debian, for a C compiler and PostgreSQL.
installer_elsewhere() {
    if command -v dnf; then echo 'sudo dnf install -y gcc postgresql-server'
    elif command -v zypper; then echo 'sudo zypper install -y gcc postgresql-server'
    elif command -v pacman; then echo 'sudo pacman -S --needed gcc postgresql'
    elif command -v apk; then echo 'doas apk add build-base postgresql'
    elif command -v brew; then echo 'brew install postgresql@17'
    else echo 'the installer of your system, for a C compiler (cc) and a PostgreSQL server'
    fi | tail -n 1
}

apt() {
    if ! command -v apt-get >/dev/null; then
        stop_with "Missing: $*. Please type: $(installer_elsewhere)"
    elif [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null; then
        as_root=sudo
    else
        stop_with "Missing: $*. Please type: su -c 'apt-get update && apt-get install -y --no-install-recommends $*'"
    fi
    echo "Installing with apt-get${as_root:+ (by sudo)}: $*" >&2
    # The lists of packages are fetched only where the ones at hand do not do.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    $as_root apt-get update -qq >&2 || stop_with "apt-get update failed. Is the network there?"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        stop_with "apt-get could not install $*."
}

# The folder of initdb and postgres, looked for where the program looks.
find_postgres() {
    postgres_bin=
    IFS_before=$IFS
    IFS=:
    for folder in ${PG_BIN_DIR-} $PATH; do
        [ -z "$postgres_bin" ] && [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && postgres_bin=$folder
    done
    IFS=$IFS_before
    if [ -z "$postgres_bin" ]; then
        for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/opt/postgresql*/bin /opt/homebrew/opt/postgresql*/bin; do
            [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && postgres_bin=$folder
        done
    fi
    [ -n "$postgres_bin" ]
}

# Whether version $1 is at least $2.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -t . -k 1,1n -k 2,2n | head -n 1)" = "$2" ]
}

# rustup's folder of programs may not be on the PATH of this shell yet.
for folder in "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin" /usr/local/cargo/bin; do
    command -v cargo >/dev/null || { [ -x "$folder/cargo" ] && PATH=$folder:$PATH; }
done
export PATH

rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
get_rustup="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
if command -v apt-get >/dev/null && ! command -v curl >/dev/null; then
    sudo=$([ "$(id -u)" = 0 ] || echo 'sudo ')
    get_rustup="${sudo}apt-get update && ${sudo}apt-get install -y curl && $get_rustup"
fi
if ! command -v cargo >/dev/null || ! rust_found=$(rustc --version 2>/dev/null); then
    stop_with "Rust is missing ($rust_wanted or later is needed). Please type: $get_rustup"
fi
rust_found=$(echo "$rust_found" | sed 's/^rustc \([0-9.]*\).*/\1/')
if ! at_least "$rust_found" "$rust_wanted"; then
    if command -v rustup >/dev/null; then get_rustup="rustup update stable && rustup default stable"; fi
    stop_with "Rust $rust_found is too old ($rust_wanted or later is needed). Please type: $get_rustup"
fi

missing=
command -v cc >/dev/null || missing="gcc libc6-dev"
find_postgres || missing="$missing postgresql"
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || apt $missing
find_postgres || stop_with "No PostgreSQL server was found. Set PG_BIN_DIR to the folder of its programs initdb and postgres."

# A clone that belongs to somebody else is built outside it.
if [ -z "${CARGO_TARGET_DIR-}" ] && ! mkdir -p target 2>/dev/null || ! [ -w "${CARGO_TARGET_DIR:-target}" ]; then
    export CARGO_TARGET_DIR="${XDG_CACHE_HOME:-$HOME/.cache}/pairpost-target"
fi
