#!/bin/sh
# What lighttpd says instead of an error of its own to a browser's EventSource, which takes any answer except 200 for a
# reason never to come back: where Holdfast is away an empty stream, and it comes back after two seconds. Any other error,
# as a 401, stays the error it is. lighttpd runs this by /bin/sh, with the status in REDIRECT_STATUS.
case "$REDIRECT_STATUS" in
500 | 502 | 503 | 504)
    printf 'Status: 200\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\nretry: 2000\n'
    ;;
*)
    printf 'Status: %s\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n\r\n' "$REDIRECT_STATUS"
    printf '{"type":"about:blank","status":%s,"code":"web_server","detail":"The web server itself refuses this."}\n' \
        "$REDIRECT_STATUS"
    ;;
esac
