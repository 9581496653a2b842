/// What can be wrong in the configuration of a web server.
package enum Remedy: CaseIterable, Sendable {
    case buffers, hidesDepartures, cutsHolds, compresses, lacksHTTP2, shortensURLs, headerTooLarge
    case openToAll, believesClients, refusesPreflight, ownCrossOriginFields
}

/// The lines to change. The servers' own words, so that they can be searched for and copied.
extension Remedy {
    package func advice(for server: FrontEnd) -> [String] {
        let lines = lines(for: server)
        if server == .unknown { return lines }
        return lines.map { "\(server.name): \($0)" }
    }

    private func lines(for server: FrontEnd) -> [String] {
        switch self {
        case .buffers: buffering(server)
        case .hidesDepartures: departures(server)
        case .cutsHolds: timeouts(server)
        case .compresses: compression(server)
        case .lacksHTTP2: http2(server)
        case .shortensURLs: urls(server)
        case .headerTooLarge: answerHeaders(server)
        case .openToAll: operators(server)
        case .believesClients: parameters(server)
        case .refusesPreflight: preflights(server)
        case .ownCrossOriginFields: crossOrigin(server)
        }
    }

    private func buffering(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx:
            [
                "fastcgi_buffering off;   (in the location of Holdfast; before another server proxy_buffering off;)",
                "and no fastcgi_ignore_headers X-Accel-Buffering;",
            ]
        case .lighttpd: ["server.stream-response-body = 2"]
        case .apache: ["ProxyPass … flushpackets=on"]
        case .haproxy: ["option http-no-delay"]
        case .caddy: ["flush_interval -1   (in reverse_proxy)"]
        case .unknown:
            ["turn the buffering of answers off for this path, in every server on the way"]
        }
    }

    private func departures(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx:
            [
                "fastcgi_ignore_client_abort off;   (before another server proxy_ignore_client_abort off;)",
                "and neither fastcgi_cache nor fastcgi_store for this location",
            ]
        case .lighttpd:
            [
                "\"tcp-fin-propagate\" => \"enable\",   (in fastcgi.server)",
                "server.stream-response-body = 2",
                "setenv.add-environment = ( \"HOLDFAST_EARLY_HEADERS\" => \"on\" )",
            ]
        case .apache: ["ProxyPass … flushpackets=on"]
        case .haproxy:
            [
                "option abortonclose   (in defaults or listen; in backend alone it does nothing)",
                "no option keep-conn   (in fcgi-app)",
            ]
        case .caddy: ["flush_interval -1   (in reverse_proxy)"]
        case .unknown:
            ["no server on the way may ignore that a client aborts"]
        }
    }

    private func timeouts(_ server: FrontEnd) -> [String] {
        let shorter = "or a shorter max_wait   (in [hold] of holdfast.ini)"
        return switch server {
        case .nginx:
            [
                "fastcgi_read_timeout 75s;   (before another server proxy_read_timeout 75s;)",
                shorter,
            ]
        case .lighttpd:
            [
                "server.max-write-idle = 3600",
                "and no \"read-timeout\" below max_wait   (in fastcgi.server)", shorter,
            ]
        case .apache: ["ProxyPass … timeout=75", shorter]
        case .haproxy: ["timeout server 75s", "timeout client 75s", shorter]
        case .caddy: ["no read_timeout   (in transport fastcgi)", shorter]
        case .unknown:
            ["raise the time-outs of every server on the way above max_wait", shorter]
        }
    }

    private func compression(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx: ["gzip off;   (in the location of Holdfast)"]
        case .lighttpd: ["deflate.mimetypes = ( )   (in the condition of Holdfast)"]
        case .apache: ["SetEnvIf Request_URI ^/push/ no-gzip no-brotli"]
        case .haproxy: ["remove \"compression algo\" from frontend and backend"]
        case .caddy: ["encode only what is not Holdfast's, by a matcher"]
        case .unknown: ["turn compression off for this path, in every server on the way"]
        }
    }

    private func http2(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx: ["listen 443 ssl http2;   (from nginx 1.25.1: http2 on;)"]
        case .lighttpd: ["server.feature-flags += ( \"server.h2proto\" => \"enable\" )"]
        case .apache: ["Protocols h2 http/1.1   (with a2enmod http2)"]
        case .haproxy: ["bind :443 ssl crt … alpn h2,http/1.1"]
        case .caddy: ["no \"protocols\" without h2   (in servers of the global options)"]
        case .unknown: ["switch HTTP/2 on, in the server that speaks TLS"]
        }
    }

    private func urls(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx: ["large_client_header_buffers 4 8k;"]
        case .lighttpd: ["server.max-request-field-size = 16384"]
        case .apache: ["LimitRequestLine 8190"]
        case .haproxy: ["tune.bufsize 16384   (in global)"]
        case .caddy: ["max_header_size 1MB   (in servers of the global options)"]
        case .unknown:
            ["raise the limit of a request's line to 8 kB, in every server on the way"]
        }
    }

    private func answerHeaders(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx:
            ["fastcgi_buffer_size 16k;", "fastcgi_buffers 4 16k;"]
        case .haproxy: ["tune.bufsize 16384   (in global)"]
        case .lighttpd, .apache, .caddy, .unknown:
            ["let an answer's header have 16 kB: it repeats the query"]
        }
    }

    private func operators(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx:
            ["fastcgi_param HOLDFAST_OPERATOR …   only where auth_basic or another check applies"]
        case .lighttpd:
            ["\"HOLDFAST_OPERATOR\" in setenv.add-environment   only where auth.require applies"]
        case .apache:
            ["HOLDFAST_OPERATOR by SetEnv or ProxyFCGISetEnvIf   only where Require applies"]
        case .haproxy: ["set-param HOLDFAST_OPERATOR   only with an \"if\" on who is asking"]
        case .caddy: ["env HOLDFAST_OPERATOR   only behind basicauth"]
        case .unknown: ["set HOLDFAST_OPERATOR only for requests whose sender was checked"]
        }
    }

    private func parameters(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx: ["no fastcgi_param HOLDFAST_… from $http_…, $arg_… or $cookie_…"]
        case .lighttpd:
            ["no HOLDFAST_… in setenv.add-environment by a condition on a header or query"]
        case .apache: ["no HOLDFAST_… by SetEnvIf from a header or query"]
        case .haproxy: ["no set-param HOLDFAST_… from req.hdr or url_param"]
        case .caddy: ["no env HOLDFAST_… from {http.request.header…} or {query…}"]
        case .unknown: ["make no HOLDFAST_… parameter of what a client sends"]
        }
    }

    private func preflights(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx:
            ["limit_except OPTIONS { auth_basic …; }   (as in conf/recipes/nginx-basic.conf)"]
        case .lighttpd: ["$HTTP[\"request-method\"] != \"OPTIONS\" { auth.require = … }"]
        case .apache: ["<LimitExcept OPTIONS> Require … </LimitExcept>"]
        case .haproxy: ["http-request auth unless METH_OPTIONS"]
        case .caddy: ["basicauth by a matcher that leaves OPTIONS out"]
        case .unknown: ["let OPTIONS through without authentication: browsers send none with it"]
        }
    }

    private func crossOrigin(_ server: FrontEnd) -> [String] {
        switch server {
        case .nginx: ["no add_header Access-Control-…; [cors] of holdfast.ini decides"]
        case .lighttpd:
            ["no Access-Control-… in setenv.add-response-header; [cors] of holdfast.ini decides"]
        case .apache: ["no Header set Access-Control-…; [cors] of holdfast.ini decides"]
        case .haproxy:
            ["no http-response set-header Access-Control-…; [cors] of holdfast.ini decides"]
        case .caddy: ["no header Access-Control-…; [cors] of holdfast.ini decides"]
        case .unknown: ["set no Access-Control-… elsewhere; [cors] of holdfast.ini decides"]
        }
    }
}
