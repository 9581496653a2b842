# shellcheck shell=bash
# Sourced by scripts/bench: the printed table.
# shellcheck disable=SC2034,SC2154  # the variables that the files share are set in one and read in another

names=(holdfast floor threads nchan nginx)

# printf's %-60s counts bytes, and µ takes two.
pad() { printf '%s%*s' "$1" $((${#1} < 60 ? 60 - ${#1} : 0)) ''; }

# row TEXT KEY[+KEY…] GOAL: prints a line of the table; keys are SCENE.MODE.KEY, and their values are added up.
row() {
    local name key sum missing
    pad "$1"
    for name in "${names[@]}"; do
        # nchan has no responder and a direct peer has no nginx: a sum needs only one of its parts.
        sum=0 missing=yes
        for key in ${2//+/ }; do
            [[ -n ${result[$name.$key]:-} ]] || continue
            missing=no
            sum=$(awk -v a="$sum" -v b="${result[$name.$key]}" 'BEGIN { print a + b }')
        done
        if [[ $missing == yes ]]; then printf ' %10s' '-'; else printf ' %10s' "$(shorten "$sum")"; fi
    done
    printf '  %s\n' "${3:-}"
}

shorten() { awk -v v="$1" 'BEGIN { printf (v >= 100 || v == int(v)) ? "%.0f" : (v >= 10 ? "%.1f" : "%.2f"), v }'; }

heading() {
    echo
    pad "$1"
    printf ' %10s' "${names[@]}"
    printf '  %s\n' 'to reach'
}

version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo none; }

token_rows() {
    heading 'Immediate answers to requests with a link or a token (16 connections, kept)'
    row 'responder CPU µs, nothing shown' tokens.open.cpu_us_app
    row 'responder CPU µs, a signed link' tokens.link.cpu_us_app
    row 'responder CPU µs, a token under Ed25519' tokens.token.cpu_us_app
    row 'signatures verified for all of these tokens' tokens.token.signatures 1
    row "responder CPU µs, one of $token_clients tokens of 600 bytes in turn" tokens.clients.cpu_us_app
    row 'polls with these tokens' tokens.clients.polls
    row 'signatures for each of these polls, first ones included' tokens.clients.signatures
    row 'signatures beyond one for each token' tokens.clients.again 0
}

# repoll_rows HEADING SCENE.LABEL
repoll_rows() {
    heading "$1"
    row 'messages published in a second' "$2.published_per_second"
    row 'deliveries expected' "$2.expected"
    row 'lost, or not delivered within 10 s of the end' "$2.lost" 0
    row 'duplicated' "$2.duplicated" 0
    row 'misordered' "$2.misordered" 0
    row 'damaged' "$2.damaged" 0
    row 'gaps reported' "$2.gaps" 0
    row 'different orders among subscribers that got all' "$2.orders" 1
    row 'refused publishes, failed polls' "$2.refused+$2.errors" 0
    row 'answers' "$2.answers"
    row 'latency, median ms' "$2.p50_ms"
    row 'latency, 99th percentile ms' "$2.p99_ms"
    row 'whole chain CPU µs a delivery' "$2.cpu_us_app+$2.cpu_us_nginx"
}

released_rows() {
    heading "${released[1]} re-polling subscribers, each message releases all"
    row 'messages an answer, behind nginx' nginx-kept.released.messages_an_answer 1
    row 'responder CPU µs a delivery with the next poll, direct' direct-kept.released.cpu_us_app
    row 'responder CPU µs a delivery with the next poll, behind nginx' nginx-kept.released.cpu_us_app
    row 'nginx CPU µs a delivery with the next poll' nginx-kept.released.cpu_us_nginx
    row 'whole chain CPU µs a delivery with the next poll' nginx-kept.released.cpu_us_app+nginx-kept.released.cpu_us_nginx 'as floor'
    row 'lost, duplicated, misordered, damaged, gaps, refused, errors' "$(sum_of nginx-kept.released "${repoll_faults[@]}")" 0
    row 'the same, direct' "$(sum_of direct-kept.released "${repoll_faults[@]}")" 0
}

# The faults that a measurement of streams, and one of polls, must not show.
stream_faults=(lost duplicated misordered damaged gaps ended refused)
repoll_faults=(lost duplicated misordered damaged gaps refused errors)

# sum_of SCENE.LABEL KEY…: the sum of several keys of one measurement, in the form that row takes.
sum_of() {
    local place=$1 sum
    shift
    printf -v sum "+$place.%s" "$@"
    echo "${sum:1}"
}

stream_rows() {
    heading "$count event streams, a message a second to all"
    row 'responder, user bytes a stream, direct' direct-kept.streams.user_bytes_app
    row 'responder, user bytes a stream, behind nginx' nginx-kept.streams.user_bytes_app
    row 'nginx, user bytes a stream' nginx-kept.streams.user_bytes_nginx
    row 'nginx, shared memory a stream' nginx-kept.streams.shared_bytes_nginx
    row 'responder CPU µs a delivery, direct' direct-kept.streams.cpu_us_app
    row 'responder CPU µs a delivery, behind nginx' nginx-kept.streams.cpu_us_app
    row 'nginx CPU µs a delivery' nginx-kept.streams.cpu_us_nginx
    row 'whole chain CPU µs a delivery' nginx-kept.streams.cpu_us_app+nginx-kept.streams.cpu_us_nginx 'as floor'
    row 'whole chain CPU µs to open a stream' nginx-kept.streams.setup_us_app+nginx-kept.streams.setup_us_nginx
    row 'ms to the first, direct' direct-kept.streams.first_ms
    row 'ms to the last, direct' direct-kept.streams.last_ms
    row 'ms to the first, behind nginx' nginx-kept.streams.first_ms
    row 'ms to the median, behind nginx' nginx-kept.streams.median_ms
    row 'ms to the 99th percentile, behind nginx' nginx-kept.streams.p99_ms
    row 'ms to the last, behind nginx' nginx-kept.streams.last_ms 'as floor'
    row 'deliveries, behind nginx' nginx-kept.streams.received
    row 'lost, duplicated, misordered, damaged, gaps, ended, refused' "$(sum_of nginx-kept.streams "${stream_faults[@]}")" 0
    row 'the same, direct' "$(sum_of direct-kept.streams "${stream_faults[@]}")" 0

    heading '1,000 event streams on 100 channels, 1,000 messages/s, nginx'
    row 'messages published in a second' nginx-kept.flow.published_per_second
    row 'deliveries' nginx-kept.flow.received
    row 'lost, duplicated, misordered, damaged, gaps, ended, refused' "$(sum_of nginx-kept.flow "${stream_faults[@]}")" 0
    row 'latency, median ms' nginx-kept.flow.p50_ms
    row 'latency, 99th percentile ms' nginx-kept.flow.p99_ms
    row 'responder CPU µs a delivery' nginx-kept.flow.cpu_us_app
    row 'nginx CPU µs a delivery' nginx-kept.flow.cpu_us_nginx
    row 'whole chain CPU µs a delivery' nginx-kept.flow.cpu_us_app+nginx-kept.flow.cpu_us_nginx
    row 'highest rate without loss or growing delay, messages/s' nginx-kept.flow.highest_per_second
    row 'latency at that rate, median ms' nginx-kept.flow.highest_p50_ms
    row 'latency at that rate, 99th percentile ms' nginx-kept.flow.highest_p99_ms
    row 'whole chain CPU µs a delivery at that rate' nginx-kept.flow.highest_cpu_us_app+nginx-kept.flow.highest_cpu_us_nginx
    row "the generator's own share of one CPU at that rate, %" nginx-kept.flow.highest_own_percent
    row 'duplicated, misordered, damaged at any rate' \
        "$(sum_of nginx-kept.flow beyond_duplicated beyond_misordered beyond_damaged)" 0
    row 'streams ended at rates beyond' nginx-kept.flow.beyond_ended
}

print_table() {
    if [[ $streams_only == yes ]]; then
        stream_rows
        print_notes
        return
    fi
    heading "Memory of a held request, user bytes ($count against $grow_from held)"
    row 'responder, FastCGI direct, kept' direct-kept.hold.user_bytes_app '< 100'
    row 'responder, behind nginx, kept' nginx-kept.hold.user_bytes_app '< 100'
    row 'responder, behind nginx, not kept' nginx-off.hold.user_bytes_app '< 100'
    row 'nginx in front of it' nginx-kept.hold.user_bytes_nginx
    row 'nginx, shared memory' nginx-kept.hold.shared_bytes_nginx

    footprint_rows

    heading 'Immediate answers (16 connections)'
    row 'responder CPU µs, direct, kept' direct-kept.rate.cpu_us_app '< 10'
    row 'responder CPU µs, direct, not kept' direct-off.rate.cpu_us_app '< 20'
    row 'responder CPU µs, behind nginx, kept' nginx-kept.rate.cpu_us_app '< 10'
    row 'responder CPU µs, behind nginx, not kept' nginx-off.rate.cpu_us_app '< 20'
    row 'nginx CPU µs, kept' nginx-kept.rate.cpu_us_nginx
    row 'nginx CPU µs, not kept' nginx-off.rate.cpu_us_nginx
    row 'answers/s, behind nginx, kept' nginx-kept.rate.per_second
    row 'answers/s, behind nginx, not kept' nginx-off.rate.per_second

    token_rows

    heading "One message to $count holders"
    row 'responder CPU µs a delivery, direct, kept' direct-kept.hold.cpu_us_app '< 2'
    row 'responder CPU µs a delivery, direct, not kept' direct-off.hold.cpu_us_app
    row 'responder CPU µs a delivery, behind nginx, kept' nginx-kept.hold.cpu_us_app '< 2'
    row 'responder CPU µs a delivery, behind nginx, not kept' nginx-off.hold.cpu_us_app
    row 'nginx CPU µs a delivery, kept' nginx-kept.hold.cpu_us_nginx
    row 'nginx CPU µs a delivery, not kept' nginx-off.hold.cpu_us_nginx
    row 'whole chain CPU µs a delivery, kept' nginx-kept.hold.cpu_us_app+nginx-kept.hold.cpu_us_nginx 'as floor'
    row 'whole chain CPU µs a delivery, not kept' nginx-off.hold.cpu_us_app+nginx-off.hold.cpu_us_nginx 'as floor'
    row 'whole chain CPU µs to set up a hold, kept' nginx-kept.hold.setup_us_app+nginx-kept.hold.setup_us_nginx
    row 'ms to the first, direct, kept' direct-kept.hold.first_ms
    row 'ms to the last, direct, kept' direct-kept.hold.last_ms
    row 'ms to the last, direct, not kept' direct-off.hold.last_ms
    row 'ms to the first, behind nginx, kept' nginx-kept.hold.first_ms
    row 'ms to the median, behind nginx, kept' nginx-kept.hold.median_ms
    row 'ms to the 99th percentile, behind nginx, kept' nginx-kept.hold.p99_ms
    row 'ms to the last, behind nginx, kept' nginx-kept.hold.last_ms 'as floor'
    row 'ms to the last, behind nginx, not kept' nginx-off.hold.last_ms 'as floor'

    heading 'Ways in (messages/s, each committed)'
    row 'POST by FastCGI, one publisher' direct-kept.single.per_second
    row 'POST by FastCGI, 64 publishers' direct-kept.grouped.per_second
    row 'POST behind nginx, one publisher' nginx-kept.single.per_second
    row 'POST behind nginx, 64 publishers' nginx-kept.grouped.per_second
    row 'bus socket, one client, one message at a time' bus.single.per_second
    row 'bus socket, one client, 64 commands under way' bus.pipelined.per_second
    row 'bus socket, 16 clients, one message at a time each' bus.clients.per_second
    row 'named pipe, one writer of lines' pipe.lines.per_second
    row 'holdfast pub --lines' pub.lines.per_second
    row 'responder CPU µs, POST by FastCGI, one publisher' direct-kept.single.cpu_us_app
    row 'responder CPU µs, POST by FastCGI, 64 publishers' direct-kept.grouped.cpu_us_app
    row 'responder CPU µs, POST behind nginx, one publisher' nginx-kept.single.cpu_us_app
    row 'responder CPU µs, POST behind nginx, 64 publishers' nginx-kept.grouped.cpu_us_app
    row 'responder CPU µs, bus socket, one client' bus.single.cpu_us_app
    row 'responder CPU µs, bus socket, 64 commands under way' bus.pipelined.cpu_us_app
    row 'responder CPU µs, bus socket, 16 clients' bus.clients.cpu_us_app
    row 'responder CPU µs, named pipe' pipe.lines.cpu_us_app
    row 'responder CPU µs, holdfast pub --lines' pub.lines.cpu_us_app
    row 'CPU µs of holdfast pub itself' pub.lines.cpu_us_pub
    [[ -n $log_only ]] && pad 'log alone, without HTTP (15,000 and 60,000 to reach)' && echo " $log_only"

    repoll_rows '200 re-polling subscribers, 1,000 messages/s, direct' direct-kept.repoll
    repoll_rows '200 re-polling subscribers, 1,000 messages/s, nginx' nginx-kept.repoll
    repoll_rows '200 re-polling subscribers, 100 messages/s, nginx' nginx-kept.slow

    released_rows

    stream_rows

    heading 'From publish to delivery, ms (idle machine)'
    row 'at one process, 1 subscriber, median' within-1.latency.p50_ms
    row 'at one process, 1 subscriber, 99th percentile' within-1.latency.p99_ms
    row 'at one process, 100 subscribers, median' within-100.latency.p50_ms
    row 'at one process, 100 subscribers, 99th percentile' within-100.latency.p99_ms
    row 'to another process, 1 subscriber, median' across-1.latency.p50_ms '< 0.3'
    row 'to another process, 1 subscriber, 99th percentile' across-1.latency.p99_ms
    row 'to another process, 100 subscribers, median' across-100.latency.p50_ms
    row 'to another process, 100 subscribers, 99th percentile' across-100.latency.p99_ms

    heading 'Wrong in all other measurements together'
    local name key
    for name in "${names[@]}"; do
        for key in "${!result[@]}"; do
            [[ $key == *.@(repoll|slow|released|streams|flow).* || $key != "$name".* ]] && continue
            case ${key##*.} in
                missing | lost | duplicated | misordered | damaged | wrong | early | refused | errors | gaps | failed | \
                    broken | leftover | stderr_records)
                    result[$name.wrong]=$((${result[$name.wrong]:-0} + ${result[$key]}))
                    [[ ${result[$key]} == 0 ]] || progress "$key is ${result[$key]}"
                    ;;
            esac
        done
    done
    row 'missing, lost, duplicated, misordered, wrong, failed, broken' wrong 0
    print_notes
}

print_notes() {
    cat <<-TEXT

		floor: bare C epoll responder, messages in memory only. threads: C, libfcgi, 64 threads. nginx: return 200. nchan: nginx
		module, 1 worker, 4,096 messages in memory only, one an answer; its immediate answer is a 304. nginx: $workers workers, loopback
		TCP, plain HTTP/1.1, kept client connections; "kept" is between nginx and responder. CPU: process clocks (user and system).
		Memory: resident without shared memory. Messages of 100 bytes. Times of a release are medians of $rounds. From publish to
		delivery: from sending the POST until the answer to the poll is there, both FastCGI direct and kept, 100 messages/s.
		Streams: server-sent events, CPU of whole seconds with the publishing in it; each channel has a publisher that waits for its
		acknowledgement. The highest rate: steps of $flow_seconds s, to an eighth; the delay grows where the median of the last third is
		over 5 ms beyond twice that of the first, or publishers fall 2 % behind.
		One generator thread on the same cores. Other work on the machine used up to $most_foreign % of the CPUs$( ((most_foreign > 10)) && echo ': too much for trust in times').
		$(uname -sr), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $files descriptors a process;
		nginx $(version_of nginx), nchan $(version_of libnginx-mod-nchan), libfcgi $(version_of libfcgi-dev), gcc $(gcc -dumpfullversion);
		log in $bus_parent ($(stat -f -c %T "$bus_parent")), default durability; $(date -u +%Y-%m-%d).
	TEXT
}
