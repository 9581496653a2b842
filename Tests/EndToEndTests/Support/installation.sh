#!/bin/sh
# The commands of conf/doc/installing.md, in a copy of the system's directories that only this process sees.
#
#   unshare -m sh installation.sh CHECKOUT BINARY DIRECTORY < commands
#
# DIRECTORY is an empty one. A line "#: WORDS" of the commands is an order to this script: what is expected then.
# Instead of systemd, which does not run here, "systemctl" starts and stops what the unit says.
set -eu
# A service that is left.
trap 'kill "$(cat "$directory/bin/pid")" 2>/dev/null || true' EXIT
checkout=$1 binary=$2 directory=$3

mkdir "$directory/layers" "$directory/bin" "$directory/checkout"
mount -t tmpfs none "$directory/layers"
for place in usr etc var run; do
    mkdir "$directory/layers/$place" "$directory/layers/$place.work"
    mount -t overlay overlay \
        -o "lowerdir=/$place,upperdir=$directory/layers/$place,workdir=$directory/layers/$place.work" "/$place"
done

cat >"$directory/bin/sudo" <<'EOF'
#!/bin/sh
[ "$1" = -u ] || exec "$@"
user=$2
shift 2
exec setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"
EOF
cat >"$directory/bin/systemctl" <<'EOF'
#!/bin/sh
# systemctl [enable|disable] [--now] … | start | stop | restart holdfast
unit=/etc/systemd/system/holdfast.service
# The optional units, which are not installed here.
case "$*" in *.socket*) exit 1 ;; esac
case $1 in enable) set start ;; disable) set stop ;; esac
case $1 in stop | restart)
    kill "$(cat "${0%/*}/pid")"
    while kill -0 "$(cat "${0%/*}/pid")" 2>/dev/null; do sleep 0.05; done
    ;;
esac
case $1 in start | restart)
    # shellcheck disable=SC2046  # words
    umask 007
    setpriv --reuid holdfast --regid holdfast --init-groups -- \
        $(sed -n 's/^ExecStart=//p' "$unit") >>"${0%/*}/log" 2>&1 &
    echo $! >"${0%/*}/pid"
    until holdfast status >/dev/null 2>&1; do
        kill -0 $! 2>/dev/null || { cat "${0%/*}/log" >&2; exit 1; }
        sleep 0.05
    done
    ;;
esac
EOF
chmod 755 "$directory/bin/sudo" "$directory/bin/systemctl"
PATH=$directory/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

cd "$directory/checkout"
ln -s "$checkout/conf" conf
mkdir -p .build/release
cp "$binary" .build/release/holdfast

# ask TARGET: what a web server gets.
ask() {
    REQUEST_METHOD=GET REQUEST_URI=$1 cgi-fcgi -bind -connect /run/holdfast/holdfast.sock
}

while IFS= read -r line; do
    case $line in
        '#: publish '*) holdfast pub chat "${line#'#: publish '}" ;;
        '#: ask /'*) ask "${line#'#: ask '}" ;;
        '#: keep cursor') cursor=$(ask /push/chat | sed -n 's/.*"cursor":"\([^"]*\)".*/\1/p') ;;
        '#: ask again') ask "/push/chat?since=$cursor" ;;
        '#: left')
            find "$directory/layers" -name '*holdfast*' -type f
            getent passwd holdfast || getent group holdfast || true
            ;;
        *) eval "$line" ;;
    esac </dev/null
done
