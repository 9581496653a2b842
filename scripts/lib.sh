# shellcheck shell=bash
# Functions that the scripts share. Sourced, not run; needs bash 5 and nothing else.

# The checkout, whatever the caller's directory.
HOLDFAST_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
export HOLDFAST_ROOT

# What makes the program as it is installed: its Swift libraries in it, relocations in a tenth of the room (glibc 2.36, so
# Debian 12, understands them), and no names for programs that would load it.
# shellcheck disable=SC2034  # read by those that source this
RELEASE=(-c release --static-swift-stdlib -Xswiftc -use-ld=lld
    -Xlinker -z -Xlinker pack-relative-relocs -Xlinker --no-export-dynamic)

# Prints a sentence on standard error: standard output is for results.
say() {
    printf '%s\n' "$*" >&2
}

# Prints the script's first comment.
show_help() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

# Prints the reason and ends the script with status 1.
die() {
    say "${0##*/}: $*"
    exit 1
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
