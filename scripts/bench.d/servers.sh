# shellcheck shell=bash
# Sourced by scripts/bench: starts and stops the measured servers, in $directory and with their logs in $bus.
# shellcheck disable=SC2034,SC2154  # the variables that the files share are set in one and read in another

running=() # processes that stop_all ends

# Whether a process still runs; one that only waits to be reaped by bash does not.
lives() { grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }

stop_all() {
    local pid turn
    ((${#running[@]})) || return 0
    kill -TERM "${running[@]}" 2>/dev/null || true
    for pid in "${running[@]}"; do
        # A process that does not end within 12 s (holdfast may take 10) is killed.
        for ((turn = 0; turn < 1200; turn++)); do
            lives "$pid" || break
            sleep 0.01
        done
        if ((turn == 1200)); then
            progress "$pid does not end; killed"
            kill -KILL "$pid" 2>/dev/null || true
        fi
        wait "$pid" 2>/dev/null || true
    done
    running=()
}

clean_up() {
    trap - EXIT INT TERM
    stop_all
    rm -rf "$bus"
    if [[ $keep == yes ]]; then progress "kept $directory"; else rm -rf "$directory"; fi
}

# fail SENTENCE [LOG]: prints the sentence and the end of the log, and ends the script.
fail() {
    [[ -n ${2:-} && -s $2 ]] && tail -n 5 "$2" >&2
    die "$1"
}

progress() { say "bench: $*"; }

wanted() { [[ ,$only, == *,$1,* ]]; }

build() {
    local source=$HOLDFAST_ROOT/scripts/bench.d flags=(-std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra)
    command -v gcc >/dev/null || fail "gcc is missing; scripts/install --for bench installs what is needed"
    gcc "${flags[@]}" -o "$directory/load" "$source"/{load,hold,repoll,streams,tally,events,bus,dialect,client,meter}.c
    gcc "${flags[@]}" -o "$directory/floor" "$source"/{floor,call}.c
    if [[ -e /usr/include/fcgiapp.h ]]; then
        gcc "${flags[@]}" -o "$directory/threads" "$source/threads.c" -lfcgi -lpthread
    fi
}

socket= # of the responder that runs, whose process is $app
app=
bus_socket= # its bus socket, and its named pipe
pipe=
sibling_socket= # of another process on the same bus, $sibling
sibling=
port= # of the nginx that runs, whose workers are $nginx
nginx=
serial=0

# start_app NAME [FAULT:K, or for holdfast more of its ini file]
start_app() {
    local log
    serial=$((serial + 1))
    socket=$directory/app$serial.sock log=$directory/app$serial.log
    bus_socket=$socket # floor has one for both
    case $1 in
        floor) "$directory/floor" "$socket" ${2:+"$2"} >"$log" 2>&1 & ;;
        alike) "$directory/floor" "$socket" alike >"$log" 2>&1 & ;;
        threads) "$directory/threads" "$socket" 64 >"$log" 2>&1 & ;;
        holdfast)
            bus_socket=$directory/bus$serial.sock pipe=$directory/pipe$serial
            install -d -m 2770 "$bus/$serial"
            cat >"$directory/holdfast$serial.ini" <<-INI
				[fastcgi]
				listen = $socket
				mode = 0660
				[bus]
				directory = $bus/$serial
				socket = $bus_socket
				[pipe $pipe]
				channel = bench
				[retain **]
				count = 4096
				[allow **]
				read = everyone
				publish = everyone
				[hold]
				max_wait = 55
				${2-}
			INI
            "$holdfast" serve --config "$directory/holdfast$serial.ini" >"$log" 2>&1 &
            ;;
    esac
    app=$!
    running+=("$app")
    "$directory/load" ready --fcgi "$socket" --seconds 10 || fail "$1 does not answer" "$log"
}

# start_sibling: another process on the bus of the holdfast that start_app has just started.
start_sibling() {
    local log=$directory/sibling$serial.log
    sibling_socket=$directory/sibling$serial.sock
    "$holdfast" serve --config "$directory/holdfast$serial.ini" --listen "$sibling_socket" >"$log" 2>&1 &
    sibling=$!
    running+=("$sibling")
    "$directory/load" ready --fcgi "$sibling_socket" --seconds 10 || fail "the second holdfast does not answer" "$log"
}

# start_nginx NUMBER-OF-WORKERS MODULES HTTP-LINES SERVER-LINES [READY-PATH]
start_nginx() {
    local place user=
    serial=$((serial + 1))
    place=$directory/nginx$serial
    mkdir -p "$place/tmp"
    ((EUID == 0)) && user='user root;'
    port=$("$directory/load" port)
    local text
    text=$(<"$HOLDFAST_ROOT/scripts/bench.d/nginx.conf.in")
    text=${text//@MODULES@/"$2"}
    text=${text//@HTTP@/"$3"}
    text=${text//@SERVER@/"$4"}
    text=${text//@USER@/"$user"}
    text=${text//@WORKERS@/"$1"}
    text=${text//@FILES@/"$((files - 10))"}
    text=${text//@PORT@/"$port"}
    echo "$text" >"$place/nginx.conf"
    run_nginx "$place" "${5:-/push/bench}"
}

# run_nginx DIRECTORY READY-PATH [ARGUMENT…]
run_nginx() {
    nginx -p "$1" -e "$1/error.log" -c "$1/nginx.conf" "${@:3}" >"$1/output" 2>&1 &
    local master=$!
    running+=("$master")
    "$directory/load" ready --http "$port" --instant "$2" --seconds 10 || {
        cat "$1/output" >>"$1/error.log"
        fail "nginx does not answer" "$1/error.log"
    }
    nginx=$(pgrep -d , -P "$master")
}

# start_nginx_before kept|off: nginx in front of the responder that runs, with conf/nginx.conf. Beyond what scripts/derive does:
# enough workers for the descriptors, an even share of the connections for each (reuseport), and no access log.
start_nginx_before() {
    # The workers must reach the temporary directory, which only its owner may enter.
    local place options=(--own-user)
    serial=$((serial + 1))
    place=$directory/nginx$serial
    mkdir -p "$place/log" "$place/temp"
    [[ $1 == off ]] && options+=(--unkept)
    port=$("$directory/load" port)
    "$HOLDFAST_ROOT/scripts/derive" nginx.conf --directory "$place" --socket "$socket" --port "$port" \
        --second "$("$directory/load" port)" --http2 "$("$directory/load" port)" "${options[@]}" \
        --replace 'worker_processes auto;' "worker_processes $workers;" \
        --replace 'access_log /var/log/nginx/access.log short;' 'access_log off;' \
        | substitute "127.0.0.1:$port" "127.0.0.1:$port reuseport" >"$place/nginx.conf"
    run_nginx "$place" /push/bench -g 'daemon off;'
}
