# shellcheck shell=bash
# Sourced by scripts/bench: shows that the load generator counts correctly, against the floor responder with known faults.
# shellcheck disable=SC2034,SC2154  # the variables that the files share are set in one and read in another

checks=0 wrong_checks=0

# expect TEXT KEY WANTED: a number, >N, or - for any value.
expect() {
    local got=${result[$2]:-none} right=no
    [[ $3 == - ]] && return
    checks=$((checks + 1))
    if [[ $3 == \>* ]]; then
        [[ $got != none ]] && ((got > ${3#>})) && right=yes
    elif [[ $got == "$3" ]]; then
        right=yes
    fi
    if [[ $right == no ]]; then wrong_checks=$((wrong_checks + 1)); fi
    printf '%-4s %-62s %10s, expected %s\n' "$([[ $right == yes ]] && echo ok || echo BAD)" "$1" "$got" "$3"
}

# check_repoll FAULT LOST DUPLICATED MISORDERED DAMAGED GAPS ORDERS: 20 subscribers, one or two publishers. The number of
# messages follows the clock, so the expected counts are computed from what was published.
check_repoll() {
    local name=check.${1%%:*} publishers=1
    [[ $1 == diverge* ]] && publishers=2
    start_app floor "$([[ $1 == none ]] || echo "$1")"
    measure "$name" repoll --fcgi "$socket" --keep --count 20 --rate 1010 --publishers "$publishers" --seconds 1
    stop_all
    local each=0 key values=("${@:2}") place=0
    # shellcheck disable=SC2017 # whole steps, each seen by 20
    [[ $1 == *:* ]] && each=$((${result[$name.repoll.published]:-0} / ${1#*:} * 20))
    for key in lost duplicated misordered damaged gaps orders; do
        expect "$1: $key" "$name.repoll.$key" "${values[place]/each/$each}"
        place=$((place + 1))
    done
}

check_hold() {
    local name=check-hold.${1%%:*} key values=("${@:2}") place=0
    start_app floor "$([[ $1 == none ]] || echo "$1")"
    measure "$name" hold --fcgi "$socket" --keep --count 1000 --rounds 1 --group "app=$app"
    stop_all
    for key in missing duplicated wrong early; do
        expect "hold, $1: $key" "$name.hold.$key" "${values[place]}"
        place=$((place + 1))
    done
}

# check_flow FAULT LOST DUPLICATED MISORDERED DAMAGED GAPS ENDED [CHANNELS]: 20 streams. The floor sends every message to
# all of them, whatever its channel.
check_flow() {
    local name=check-flow.${1%%:*} each=0 messages key wanted values=("${@:2:6}") place=0
    start_app floor "$([[ $1 == none || $1 == mixed ]] || echo "$1")"
    measure "$name" flow --fcgi "$socket" --keep --count 20 --channels "${8:-1}" --rate 1010 --seconds 1
    stop_all
    messages=${result[$name.flow.published]:-0}
    # shellcheck disable=SC2017 # whole steps, each seen by 20
    [[ $1 == *:* ]] && each=$((messages / ${1#*:} * 20))
    for key in lost duplicated misordered damaged gaps ended; do
        wanted=${values[place]}
        expect "flow, $1: $key" "$name.flow.$key" "$((wanted))"
        place=$((place + 1))
    done
}

# check_streams FAULT LOST DUPLICATED: 500 streams, two messages.
check_streams() {
    local name=check-streams.${1%%:*}
    start_app floor "$([[ $1 == none ]] || echo "$1")"
    measure "$name" streams --fcgi "$socket" --keep --count 500 --grow-from 100 --rounds 2
    stop_all
    expect "streams, $1: lost" "$name.streams.lost" "$2"
    expect "streams, $1: duplicated" "$name.streams.duplicated" "$3"
}

# check_bus FAULT MISSING FAILED LOST DUPLICATED: 16 clients, one command at a time each.
check_bus() {
    local name=check-bus.${1%%:*} each=0 key values=("${@:2}") place=0
    start_app floor "$([[ $1 == none ]] || echo "$1")"
    measure "$name" bus --socket "$bus_socket" --connections 16 --seconds 1
    stop_all
    [[ $1 == *:* ]] && each=$((${result[$name.bus.sent]:-0} / ${1#*:}))
    for key in missing failed lost duplicated; do
        expect "bus, $1: $key" "$name.bus.$key" "${values[place]/each/$each}"
        place=$((place + 1))
    done
}

# Lines that nothing reads, and messages published where nothing polls, are all lost.
check_elsewhere() {
    local polled
    start_app floor
    measure check-lines.unread lines --socket "$bus_socket" --to /dev/null --seconds 1
    expect 'lines, unread: lost' check-lines.unread.lines.lost "${result[check-lines.unread.lines.written]:-some}"
    polled=$socket
    start_app floor
    measure check-elsewhere.all repoll --fcgi "$polled" --publish-fcgi "$socket" --keep --count 20 --publishers 1 --seconds 1
    stop_all
    expect 'published elsewhere: lost' check-elsewhere.all.repoll.lost \
        $((${result[check-elsewhere.all.repoll.acknowledged]:-0} * 20))
    expect 'published elsewhere: received' check-elsewhere.all.repoll.received 0
}

check_counting() {
    #                     lost dup  mis  dam  gaps orders
    check_repoll none        0    0    0    0    0    1
    check_repoll drop:100    each 0    0    0    0    0
    check_repoll repeat:100  0    each 0    0    0    1
    check_repoll swap:100    0    0    each 0    0    1
    check_repoll corrupt:100 each 0    0    each 0    0
    check_repoll gap:100     0    0    0    0    each 1
    check_repoll diverge:100 0    0    -    0    0    '>1'
    #                   missing dup wrong early
    check_hold none         0     0    0     0
    check_hold drop:1       1000  0    0     0
    check_hold repeat:1     0  1000    0     0
    check_hold skip:100     10    0    0     0
    check_hold early:100    10    0    0    10
    #                   lost    dup  mis  dam  gaps ended
    check_flow none        0      0    0    0    0    0
    check_flow drop:100    each   0    0    0    0    0
    check_flow repeat:100  0      each 0    0    0    0
    check_flow swap:100    0      0    each 0    0    0
    check_flow corrupt:100 each   0    0    each 0    0
    check_flow gap:100     0      0    0    0    each 0
    check_flow skip:10  'messages * 2' 0 0  0    0    0
    check_flow early:10 'messages * 2' 0 0  0    0    2
    check_flow mixed       0      0    0 'messages * 10' 0 0 2
    #                      lost dup
    check_streams none     0    0
    check_streams drop:2   500  0
    check_streams repeat:2 0    500
    #                  missing failed lost dup
    check_bus none         0      0     0   0
    check_bus drop:100     0      0    each 0
    check_bus repeat:100   0      0     0  each
    check_bus refuse:100   0     each   0   0
    check_bus skip:100     16     0     0   0
    check_elsewhere
    printf '%d of %d counts are right\n' $((checks - wrong_checks)) "$checks"
    ((wrong_checks == 0))
}
