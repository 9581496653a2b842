#!/bin/sh
# The answer that lighttpd gives a browser's EventSource instead of an error of its own, because EventSource never comes
# back after any answer except 200: while Holdfast is away it gets an empty stream, and comes back after two seconds.
# Any other error, such as a 401, remains the error that it is. lighttpd runs this by /bin/sh, with the status in
# REDIRECT_STATUS.
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
