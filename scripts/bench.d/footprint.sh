# shellcheck shell=bash
# Sourced by scripts/bench: the program's size, memory and time to start, before any client connects.
# shellcheck disable=SC2034,SC2154  # the variables that the files share are set in one and read in another

# memory_of PID FIELD: a field of /proc/PID/status, in MB.
memory_of() { awk -v field="$2:" '$1 == field { print $2 / 1024 }' "/proc/$1/status"; }

# milliseconds_since START, which was $EPOCHREALTIME.
milliseconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { print (b - a) * 1000 }'; }

# keep_least KEY VALUE
keep_least() {
    local least=${result[holdfast.footprint.$1]:-$2}
    result[holdfast.footprint.$1]=$(awk -v a="$least" -v b="$2" 'BEGIN { print a < b ? a : b }')
}

as_cgi() {
    REQUEST_METHOD=GET REQUEST_URI=/push/$1 SCRIPT_NAME=/push HOLDFAST_INI=$directory/holdfast$serial.ini \
        GATEWAY_INTERFACE=CGI/1.1 SERVER_PROTOCOL=HTTP/1.1 exec "$holdfast" cgi </dev/null >"$directory/cgi.out"
}

measure_footprint() {
    progress 'holdfast footprint'
    local began turn cgi
    result[holdfast.footprint.size]=$(awk -v n="$(stat -c %s "$holdfast")" 'BEGIN { print n / 1e6 }')
    strip -o "$directory/stripped" "$holdfast"
    result[holdfast.footprint.stripped]=$(awk -v n="$(stat -c %s "$directory/stripped")" 'BEGIN { print n / 1e6 }')
    # Keeps the least of several: other work on the machine only adds to it.
    for turn in 1 2 3 4 5; do
        began=$EPOCHREALTIME
        start_app holdfast
        keep_least start_ms "$(milliseconds_since "$began")"
        ((turn == 5)) || stop_all
    done
    keep_least resident "$(memory_of "$app" VmRSS)"
    keep_least own "$(memory_of "$app" RssAnon)"
    for turn in 1 2 3 4 5 6 7 8; do
        began=$EPOCHREALTIME
        (as_cgi -/live)
        keep_least cgi_ms "$(milliseconds_since "$began")"
    done
    as_cgi 'bench?wait=20' &
    cgi=$!
    for ((turn = 0; turn < 500; turn++)); do
        # Waits until it has its connection, and sleeps.
        if [[ $(find "/proc/$cgi/fd" -lname 'socket:*' 2>/dev/null) && $(<"/proc/$cgi/stat") == *') S '* ]]; then break; fi
        sleep 0.01
    done
    keep_least cgi_resident "$(memory_of "$cgi" VmRSS)"
    keep_least cgi_own "$(memory_of "$cgi" RssAnon)"
    kill -TERM "$cgi"
    wait "$cgi" || true
    stop_all
}

footprint_rows() {
    heading 'The program'
    row 'size, MB' footprint.size
    row 'size, stripped, MB' footprint.stripped
    row 'resident memory at rest, MB' footprint.resident
    row '… its own, that is without mapped files' footprint.own
    row 'from its start until it answers, ms' footprint.start_ms
    row 'resident memory of a held "holdfast cgi", MB' footprint.cgi_resident
    row '… its own' footprint.cgi_own
    row 'an immediate answer by "holdfast cgi", whole process, ms' footprint.cgi_ms
}
