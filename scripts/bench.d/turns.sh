# shellcheck shell=bash
# Sourced by scripts/bench: the figures in which few percent count, of all programs in turns.
# shellcheck disable=SC2034,SC2154  # the variables that the files share are set in one and read in another

declare -A running_as # NAME.KEY: the servers that run at the same time, of which one is asked at a time

# start_for_turns NAME PROGRAM: a responder and nginx in front of it; PROGRAM is empty for the floors.
start_for_turns() {
    if [[ -n $2 ]]; then holdfast=$2 start_app holdfast; else start_app "$1"; fi
    [[ $publish_only == yes ]] || start_nginx_before kept
    running_as[$1.app]=$app running_as[$1.socket]=$socket running_as[$1.bus]=$bus_socket
    running_as[$1.nginx]=$nginx running_as[$1.port]=$port
}

# publishes NAME NUMBER: one publisher that waits for each answer, and a subscriber of 100 messages a second; prints lines
# of scene, name and figure.
publishes() {
    local app=${running_as[$1.app]}
    local direct=(--fcgi "${running_as[$1.socket]}" --keep --group "app=$app")
    measure "$1.bus-$2" bus --socket "${running_as[$1.bus]}" --group "app=$app" --connections 1 --seconds "$seconds"
    measure "$1.direct-$2" publish "${direct[@]}" --connections 1 --seconds "$seconds"
    measure "$1.direct-$2+latency" repoll "${direct[@]}" --count 1 "${latency[@]}"
    print_turn "$1" 'a single publish: bus socket' bus-"$2".bus.cpu_us_app
    print_turn "$1" 'a single publish: FastCGI' direct-"$2".publish.cpu_us_app
    print_turn "$1" 'from publish to delivery, median (ms)' direct-"$2".latency.p50_ms
}

# polls_and_streams NAME NUMBER: likewise.
polls_and_streams() {
    local app=${running_as[$1.app]} nginx=${running_as[$1.nginx]} scene way
    local direct=(--fcgi "${running_as[$1.socket]}" --keep --group "app=$app")
    local behind=(--http "${running_as[$1.port]}" --group "app=$app" --group "nginx=$nginx")
    measure "$1.direct-$2" rate "${direct[@]}" --seconds "$seconds"
    measure "$1.nginx-$2" rate "${behind[@]}" --seconds "$seconds"
    measure "$1.direct-$2" hold "${direct[@]}" --count 2000 --grow-from 500 --rounds 5
    measure "$1.direct-$2" streams "${direct[@]}" --count 2000 --rounds 5
    measure "$1.nginx-$2" streams "${behind[@]}" --count 2000 --rounds 5
    measure "$1.direct-$2+released" repoll "${direct[@]}" "${released[@]}"
    measure "$1.nginx-$2+released" repoll "${behind[@]}" "${released[@]}"
    measure "$1.direct-$2+pages" repoll "${direct[@]}" "${released[@]}" --pages
    measure "$1.nginx-$2+pages" repoll "${behind[@]}" "${released[@]}" --pages
    measure "$1.direct-$2" repoll "${direct[@]}" "${repoll[@]}"
    measure "$1.nginx-$2" repoll "${behind[@]}" "${repoll[@]}"
    print_turn "$1" 'an immediate answer: responder, direct' direct-"$2".rate.cpu_us_app
    print_turn "$1" 'an immediate answer: responder, nginx' nginx-"$2".rate.cpu_us_app
    print_turn "$1" 'a delivery to a held poll: responder, direct' direct-"$2".hold.cpu_us_app
    print_turn "$1" 'a delivery to a stream: responder, direct' direct-"$2".streams.cpu_us_app
    print_turn "$1" 'a delivery to a stream: responder, nginx' nginx-"$2".streams.cpu_us_app
    print_turn "$1" 'a delivery to a stream: whole chain' nginx-"$2".streams.cpu_us_{app,nginx}
    for scene in released pages repoll; do
        for way in direct nginx; do
            print_turn "$1" "$scene: responder, $way" "$way-$2.$scene.cpu_us_app"
            print_turn "$1" "$scene: messages an answer, $way" "$way-$2.$scene.messages_an_answer"
        done
        print_turn "$1" "$scene: nginx" nginx-"$2.$scene".cpu_us_nginx
        print_turn "$1" "$scene: whole chain" nginx-"$2.$scene".cpu_us_{app,nginx}
    done
}

# print_turn NAME SCENE KEY…: the sum of the keys.
print_turn() {
    local key sum=0
    for key in "${@:3}"; do
        [[ -n ${result[$1.$key]:-} ]] || return 0
        sum=$(awk -v a="$sum" -v b="${result[$1.$key]}" 'BEGIN { print a + b }')
    done
    printf '%s\t%s\t%s\n' "$2" "$1" "$sum"
}

# measure_turns TURNS: the floors, this build, and --against if given. Each turn begins with another of them.
measure_turns() {
    local names=(floor alike holdfast) number place name
    start_for_turns floor ''
    start_for_turns alike ''
    start_for_turns holdfast "$holdfast"
    if [[ -n $against ]]; then
        names+=(against)
        start_for_turns against "$against"
    fi
    for ((number = 1; number <= $1; number++)); do
        progress "turn $number of $1"
        for ((place = 0; place < ${#names[@]}; place++)); do
            name=${names[(number + place) % ${#names[@]}]}
            publishes "$name" "$number" >>"$directory/turns"
            [[ $publish_only == yes ]] || polls_and_streams "$name" "$number" >>"$directory/turns"
        done
    done
    stop_all
    /usr/bin/python3 "$HOLDFAST_ROOT/scripts/bench.d/turns.py" <"$directory/turns"
}
