# shellcheck shell=bash
# Functions that the scripts share. Sourced, not run; needs bash 5 and nothing else.

# The checkout, whatever the caller's directory.
HOLDFAST_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
export HOLDFAST_ROOT

# What makes the program as it is installed: its Swift libraries in it, relocations in a tenth of the room (glibc 2.36,
# so Debian 12, supports them), no names for programs that would load it, and a small module in place of
# FoundationEssentials. prepare_release must have been called before.
STAND_IN=$HOLDFAST_ROOT/.build/stand-in
# shellcheck disable=SC2034  # read by those that source this
RELEASE=(-c release --static-swift-stdlib -Xswiftc -use-ld=lld
    -Xlinker -z -Xlinker pack-relative-relocs -Xlinker --no-export-dynamic
    -Xswiftc "-I$STAND_IN" -Xlinker "$STAND_IN/FoundationEssentials.o")

# Compiles the module that stands in for FoundationEssentials. What has not changed keeps its file, so that nothing else is
# compiled again.
prepare_release() {
    local new name
    mkdir -p -- "$STAND_IN"
    # Always the same: the compiler puts a hash of the place into what it makes.
    new=$STAND_IN/new
    rm -rf -- "$new"
    mkdir -- "$new"
    swiftc -O -parse-as-library -swift-version 6 -static-stdlib -module-name FoundationEssentials \
        -emit-module -emit-module-path "$new/FoundationEssentials.swiftmodule" \
        -c "$HOLDFAST_ROOT/scripts/release.d/FoundationEssentials.swift" -o "$new/FoundationEssentials.o"
    for name in FoundationEssentials.swiftmodule FoundationEssentials.o; do
        cmp --quiet -- "$new/$name" "$STAND_IN/$name" || mv -- "$new/$name" "$STAND_IN/$name"
    done
    rm -rf -- "$new"
}

# Prints a sentence on standard error: standard output is for results.
say() {
    printf '%s\n' "$*" >&2
}

# is_plain PATH: whether each web server's configuration can name it as it is. Where blanks are allowed, quotes are needed,
# and what these would have to escape differs.
is_plain() {
    [[ $1 != *[[:space:][:cntrl:]\"\'\`\$\#\;\{\}\(\)\[\]\\%\*\?\<\>\|\&]* ]]
}

# For this script, and for what it starts.
if [[ ${TMPDIR-} ]] && ! is_plain "$TMPDIR"; then
    say "${0##*/}: temporary files are in /tmp, since web servers' configurations cannot name '$TMPDIR' (TMPDIR)"
    export TMPDIR=/tmp
fi

# Prints the script's first comment.
show_help() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

# Prints the reason and ends the script with status 1.
die() {
    say "${0##*/}: $*"
    exit 1
}

# program_at PATH: prints its absolute path, or ends the script, also in an assignment.
program_at() {
    [[ -f $1 && -x $1 ]] || die "$1 is no program: no such file, or not executable"
    realpath -- "$1"
}

# substitute FROM TO [FROM TO …] < file: copies standard input with each literal FROM replaced by TO, in this order.
substitute() {
    local text
    text=$(cat)
    while (($# >= 2)); do
        text=${text//"$1"/"$2"}
        shift 2
    done
    printf '%s\n' "$text"
}

# Whether nothing listens on this port of the loopback address.
port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# next_free_port FIRST: prints the first free port from FIRST on.
next_free_port() {
    local port
    for ((port = $1; port < $1 + 500 && port < 65536; port++)); do
        if port_is_free "$port"; then
            printf '%s\n' "$port"
            return
        fi
    done
    die "no free port from $1 on"
}
