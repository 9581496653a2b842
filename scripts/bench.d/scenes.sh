# shellcheck shell=bash
# Sourced by scripts/bench: the measurements.
# shellcheck disable=SC2034,SC2154  # the variables that the files share are set in one and read in another

declare -A result
most_foreign=0

# measure NAME.SCENE[+LABEL] MODE ARGUMENT…: each key=value line it prints becomes result[NAME.SCENE.LABEL.KEY]; the
# label is the mode unless given.
measure() {
    local name=${1%%+*} label=$2 mode=$2 output key value
    [[ $1 == *+* ]] && label=${1#*+}
    shift 2
    progress "$name $label"
    output=$directory/$name.$label
    if ! timeout 170 "$directory/load" "$mode" "$@" >"$output" 2>"$output.err"; then
        progress "$name $label failed: $(tail -n 1 "$output.err")"
        result[$name.$label.failed]=1
        return 0
    fi
    while IFS='=' read -r key value; do result[$name.$label.$key]=$value; done <"$output"
    # If not all were held and answered, the figures are those of another job.
    local none=$((${result[$name.$label.missing]:-0} + ${result[$name.$label.early]:-0}))
    [[ $mode == streams ]] && none=$((${result[$name.$label.lost]:-0} + ${result[$name.$label.ended]:-0}))
    if [[ $mode == hold || $mode == streams ]] && ((none > 0)); then
        progress "$name $label: $none not held or not answered; its figures are left out"
        for key in "${!result[@]}"; do
            case $key in
                "$name.$label".*_ms | "$name.$label".*_app | "$name.$label".*_nginx) unset -v 'result[$key]' ;;
            esac
        done
    fi
    value=${result[$name.$label.foreign_percent]:-0}
    if ((value > most_foreign)); then most_foreign=$value; fi
    if [[ ${result[$name.$label.quiet]:-1} == 0 ]]; then
        progress "$name $label: the servers were never idle; their CPU and memory figures hold more than the job"
    fi
}

measure_direct() {
    start_app "$1"
    local way=(--fcgi "$socket" --group "app=$app")
    measure "$1.direct-kept" hold "${way[@]}" --keep --count "$count" --grow-from "$grow_from" --rounds "$rounds"
    measure "$1.direct-off" hold "${way[@]}" --count "$count" --rounds "$rounds"
    measure "$1.direct-kept" rate "${way[@]}" --keep --seconds "$seconds"
    measure "$1.direct-off" rate "${way[@]}" --seconds "$seconds"
    measure "$1.direct-kept+single" publish "${way[@]}" --keep --connections 1 --seconds "$seconds"
    measure "$1.direct-kept+grouped" publish "${way[@]}" --keep --connections 64 --seconds "$seconds"
    measure "$1.direct-kept" repoll "${way[@]}" --keep "${repoll[@]}"
    measure "$1.direct-kept+released" repoll "${way[@]}" --keep "${released[@]}"
    stop_all
}

# measure_behind_nginx NAME kept|off
measure_behind_nginx() {
    start_app "$1"
    start_nginx_before "$2"
    local way=(--http "$port" --group "app=$app" --group "nginx=$nginx") scene=$1.nginx-$2
    measure "$scene" hold "${way[@]}" --count "$count" --grow-from "$grow_from" --rounds "$rounds"
    measure "$scene" rate "${way[@]}" --seconds "$seconds"
    if [[ $2 == kept ]]; then
        measure "$scene+single" publish "${way[@]}" --connections 1 --seconds "$seconds"
        measure "$scene+grouped" publish "${way[@]}" --connections 64 --seconds "$seconds"
        measure "$scene" repoll "${way[@]}" "${repoll[@]}"
        measure "$scene+slow" repoll "${way[@]}" "${repoll_slowly[@]}"
        measure "$scene+released" repoll "${way[@]}" "${released[@]}"
    fi
    stop_all
}

# measure_streams NAME: event streams. The floor has one channel.
measure_streams() {
    local held=(--count "$count" --grow-from "$grow_from" --rounds "$rounds")
    start_app "$1"
    measure "$1.direct-kept" streams --fcgi "$socket" --keep --group "app=$app" "${held[@]}"
    stop_all
    start_app "$1"
    start_nginx_before kept
    local way=(--http "$port" --group "app=$app" --group "nginx=$nginx")
    measure "$1.nginx-kept" streams "${way[@]}" "${held[@]}"
    if [[ $1 == holdfast ]]; then measure "$1.nginx-kept" flow "${way[@]}" "${flow[@]}"; fi
    stop_all
}

# measure_bus NAME: publishing on the bus socket.
measure_bus() {
    start_app "$1"
    local way=(--socket "$bus_socket" --group "app=$app" --seconds "$seconds")
    measure "$1.bus+single" bus "${way[@]}" --connections 1
    measure "$1.bus+pipelined" bus "${way[@]}" --connections 1 --outstanding 64
    measure "$1.bus+clients" bus "${way[@]}" --connections 16
    stop_all
}

# Immediate answers to requests with a link or a token, and to requests that need neither; counts the signatures.
measure_tokens() {
    local exp payload token query
    command -v openssl >/dev/null || { progress 'openssl is missing; tokens are left out'; return 0; }
    base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
    openssl genpkey -algorithm ED25519 -out "$directory/token.key"
    openssl pkey -in "$directory/token.key" -pubout -out "$directory/token.pem"
    openssl rand -hex 32 >"$directory/link.secret"
    chmod 600 "$directory/link.secret"
    start_app holdfast "
[key issuer]
algorithm = EdDSA
public_key_file = $directory/token.pem
[key site]
secret_file = $directory/link.secret
[allow user/**]
read = key:issuer key:site
"
    exp=$(($(date +%s) + 3600))
    payload=$(printf '{"exp":%s,"sub":"ada","holdfast":{"read":["user/1"]}}' "$exp" | base64url)
    token=$(printf '{"alg":"EdDSA"}' | base64url).$payload
    printf %s "$token" >"$directory/token.text"
    token+=.$(openssl pkeyutl -sign -rawin -inkey "$directory/token.key" -in "$directory/token.text" | base64url)
    query="channel=user/1&expires=$exp"
    query+="&signature=$(printf %s "$query" | openssl dgst -sha256 -hmac "$(<"$directory/link.secret")" -r | cut -c1-64)"
    local way=(--fcgi "$socket" --keep --no-cursor --group "app=$app" --seconds "$seconds")
    measure holdfast.tokens+open rate "${way[@]}" --instant /push/bench
    measure holdfast.tokens+link rate "${way[@]}" --instant "/push/?$query"
    measure holdfast.tokens+token rate "${way[@]}" --instant "/push/user/1?access_token=$token"
    result[holdfast.tokens.token.signatures]=$(token_count verified)
    # A token for each client, as identity providers make them; a signature at the first poll of each is the least.
    /usr/bin/python3 - "$directory/link.secret" "$exp" "$token_clients" >"$directory/token.list" <<'END'
import base64, hmac, json, sys
secret, exp, count = open(sys.argv[1], "rb").read().strip(), int(sys.argv[2]), int(sys.argv[3])
coded = lambda text: base64.urlsafe_b64encode(text).rstrip(b"=")
for number in range(count):
    claims = {"exp": exp, "sub": f"user{number}", "holdfast": {"read": ["user/1"]}, "profile": "x" * 320}
    signed = coded(b'{"alg":"HS256"}') + b"." + coded(json.dumps(claims).encode())
    signature = coded(hmac.digest(secret, signed, "sha256"))
    print("/push/user/1?access_token=" + (signed + b"." + signature).decode())
END
    local before=$((${result[holdfast.tokens.token.signatures]} + $(token_count remembered))) signatures
    measure holdfast.tokens+clients rate "${way[@]}" --instant-list "$directory/token.list"
    signatures=$(($(token_count verified) - ${result[holdfast.tokens.token.signatures]}))
    result[holdfast.tokens.clients.again]=$((signatures > token_clients ? signatures - token_clients : 0))
    result[holdfast.tokens.clients.polls]=$((signatures + ${result[holdfast.tokens.token.signatures]} \
        + $(token_count remembered) - before))
    result[holdfast.tokens.clients.signatures]=$(awk -v all="$signatures" -v polls="${result[holdfast.tokens.clients.polls]}" \
        'BEGIN { printf "%.3f", all / (polls + !polls) }')
    stop_all
}

# token_count remembered|verified|refused
token_count() {
    "$holdfast" status --json --socket "$bus_socket" | sed -n "s/.*\"tokens\":{[^}]*\"$1\":\([0-9]*\).*/\1/p"
}

# Publishes lines through the named pipe, and through `holdfast pub`.
measure_lines() {
    start_app holdfast
    local way=(--socket "$bus_socket" --group "app=$app" --seconds "$seconds") lines=$directory/lines pub
    measure holdfast.pipe lines "${way[@]}" --to "$pipe"
    mkfifo "$lines"
    "$holdfast" pub bench --lines --socket "$bus_socket" <"$lines" 2>"$directory/pub.log" &
    pub=$!
    running+=("$pub")
    measure holdfast.pub lines "${way[@]}" --group "pub=$pub" --to "$lines"
    # It ends with its input; if that was never opened, stop_all ends it.
    if [[ -z ${result[holdfast.pub.lines.failed]:-} ]] && ! wait "$pub"; then
        progress "holdfast pub failed: $(tail -n 1 "$directory/pub.log")"
        result[holdfast.pub.lines.failed]=1
    fi
    stop_all
}

# measure_latency NAME: publishes at the process that the subscribers poll; with holdfast, also at another one.
measure_latency() {
    local subscribers
    start_app "$1"
    for subscribers in 1 100; do
        measure "$1.within-$subscribers+latency" repoll --fcgi "$socket" --keep --count "$subscribers" \
            --group "app=$app" "${latency[@]}"
    done
    if [[ $1 == holdfast ]]; then
        start_sibling
        for subscribers in 1 100; do
            measure "holdfast.across-$subscribers+latency" repoll --fcgi "$sibling_socket" --publish-fcgi "$socket" \
                --keep --count "$subscribers" --group "app=$app,$sibling" "${latency[@]}"
        done
    fi
    stop_all
}

measure_threads() {
    local kept
    for kept in kept off; do
        start_app threads
        local keep_flag=()
        [[ $kept == kept ]] && keep_flag=(--keep)
        measure "threads.direct-$kept" rate --fcgi "$socket" "${keep_flag[@]}" --no-cursor --seconds "$seconds" \
            --group "app=$app"
        start_nginx_before "$kept"
        measure "threads.nginx-$kept" rate --http "$port" --no-cursor --seconds "$seconds" \
            --group "app=$app" --group "nginx=$nginx"
        stop_all
    done
}

measure_return() {
    start_nginx "$workers" '' '' \
        "location = /push/bench { default_type application/json;
            return 200 '{\"cursor\":\"f-1\",\"messages\":[],\"more\":false,\"gap\":null}'; }"
    measure nginx.nginx-kept rate --http "$port" --no-cursor --seconds "$seconds" --group "nginx=$nginx"
    stop_all
}

nchan_module=/usr/lib/nginx/modules/ngx_nchan_module.so

# One worker: with more, the publishing worker hands over to the channel's owner, which costs more on two cores.
start_nchan() {
    local kept='nchan_message_buffer_length 4096; nchan_message_timeout 10m;'
    local channel="nchan_channel_id bench; $kept" named="nchan_channel_id \$1; $kept"
    start_nginx 1 "load_module $nchan_module;" 'nchan_shared_memory_size 256M;' \
        "location = /publish { nchan_publisher http; $channel }
        location = /poll { nchan_subscriber longpoll; nchan_subscriber_first_message newest; $channel }
        location = /instant { nchan_subscriber intervalpoll; nchan_subscriber_first_message oldest; $channel }
        location ~ ^/publish/(.+)\$ { nchan_publisher http; $named }
        location ~ ^/stream/(.+)\$ { nchan_subscriber eventsource; nchan_subscriber_first_message newest; $named }" \
        /instant
}

measure_nchan() {
    if [[ ! -e $nchan_module ]]; then
        progress "nchan is not installed (libnginx-mod-nchan)"
        return 0
    fi
    local mode
    for mode in rate hold publish repoll; do
        start_nchan
        local way=(--http "$port" --dialect nchan --poll /poll --instant /instant --publish /publish
            --group "nginx=$nginx")
        case $mode in
            rate) measure nchan.nginx-kept rate "${way[@]}" --seconds "$seconds" ;;
            hold) measure nchan.nginx-kept hold "${way[@]}" --count "$count" --grow-from "$grow_from" --rounds "$rounds" ;;
            publish)
                measure nchan.nginx-kept+single publish "${way[@]}" --connections 1 --seconds "$seconds"
                measure nchan.nginx-kept+grouped publish "${way[@]}" --connections 64 --seconds "$seconds"
                ;;
            repoll)
                measure nchan.nginx-kept+slow repoll "${way[@]}" "${repoll_slowly[@]}"
                measure nchan.nginx-kept+released repoll "${way[@]}" "${released[@]}"
                # This is more than it can deliver here, so it takes longer.
                [[ $quick == yes ]] || measure nchan.nginx-kept repoll "${way[@]}" "${repoll[@]}"
                ;;
        esac
        stop_all
    done
}

measure_nchan_streams() {
    [[ -e $nchan_module ]] || return 0
    local mode
    for mode in streams flow; do
        start_nchan
        local way=(--http "$port" --dialect nchan --poll /stream/bench --publish /publish/bench --group "nginx=$nginx")
        case $mode in
            streams)
                measure nchan.nginx-kept streams "${way[@]}" --count "$count" --grow-from "$grow_from" --rounds "$rounds"
                ;;
            flow) measure nchan.nginx-kept flow "${way[@]}" "${flow[@]}" ;;
        esac
        stop_all
    done
}

log_only=
measure_log() {
    start_app holdfast # writes the ini file, creates the directory and checks both
    stop_all
    log_only=$(timeout 60 "$holdfast" bench-log --config "$directory/holdfast$serial.ini" 2>/dev/null) || log_only=
}
