/// Faults in the configuration of a web server.
package enum Remedy: CaseIterable, Sendable {
    case buffers, hidesDepartures, cutsHolds, compresses, lacksHTTP2, shortensURLs, headerTooLarge
    case openToAll, believesClients, refusesPreflight, ownCrossOriginFields
    case dropsAccept, delaysEvents, beginsSlowly, hasFewConnections
}

/// The lines to change, in the servers' own syntax, so that they can be searched for and copied.
extension Remedy {
    /// The advice for each server that may be at fault; the one that must change comes first.
    package func advice(for servers: ServerChain) -> [String] {
        guard let proxy = servers.proxy else {
            return named(servers.server, lines(for: servers.server))
        }
        switch place {
        case .server: return named(servers.server, lines(for: servers.server))
        case .proxy where self == .lacksHTTP2 || servers.server.showsByItself:
            return proxyAdvice(proxy)
        case .proxy, .both:
            return proxyAdvice(proxy) + named(servers.server, lines(for: servers.server))
        }
    }

    func proxyAdvice(_ proxy: ServerKind) -> [String] {
        guard proxy == .unknown else {
            return named(proxy, proxyLines(for: proxy), "\(proxy.name), the proxy")
        }
        return ["the proxy in front of it, whichever it is:"]
            + ServerKind.proxies.flatMap { named($0, proxyLines(for: $0)) }
    }

    private func named(_ server: ServerKind, _ lines: [String], _ name: String? = nil) -> [String] {
        server == .unknown ? lines : lines.map { "\(name ?? server.name): \($0)" }
    }

    /// Where the fault may be: in the server that speaks FastCGI, in a proxy in front of it, or in both.
    private enum Place { case server, proxy, both }

    private var place: Place {
        switch self {
        case .openToAll, .believesClients, .headerTooLarge, .beginsSlowly: .server
        case .hidesDepartures, .lacksHTTP2: .proxy
        case .buffers, .cutsHolds, .compresses, .shortensURLs, .refusesPreflight,
            .ownCrossOriginFields, .dropsAccept, .delaysEvents, .hasFewConnections:
            .both
        }
    }

    func lines(for server: ServerKind) -> [String] {
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
        case .dropsAccept: accept(server)
        case .delaysEvents: delays(server)
        case .beginsSlowly: pace(server)
        case .hasFewConnections: connections(server)
        }
    }

    private func buffering(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx:
            [
                "fastcgi_buffering off;   (in the location of Holdfast)",
                "and no fastcgi_ignore_headers X-Accel-Buffering;",
            ]
        case .lighttpd: ["server.stream-response-body = 2"]
        case .apache: ["ProxyPass … flushpackets=on"]
        case .haproxy: ["option http-no-delay"]
        case .caddy: ["flush_interval -1   (in reverse_proxy)"]
        case .varnish, .squid, .unknown:
            ["turn off the buffering of answers for this path, in every server on the way"]
        }
    }

    private func departures(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx:
            [
                "fastcgi_ignore_client_abort off;   (in the location of Holdfast)",
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
        case .varnish, .squid, .unknown:
            ["no server on the way may ignore that a client aborts"]
        }
    }

    private func timeouts(_ server: ServerKind) -> [String] {
        let shorter = "or a shorter max_wait   (in [hold] of holdfast.ini)"
        return switch server {
        case .nginx:
            [
                "fastcgi_read_timeout 75s;",
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
        case .varnish, .squid, .unknown:
            ["raise the timeouts of every server on the way above max_wait", shorter]
        }
    }

    private func compression(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx: ["gzip off;   (in the location of Holdfast)"]
        case .lighttpd: ["deflate.mimetypes = ( )   (in the condition of Holdfast)"]
        case .apache: ["SetEnvIf Request_URI ^/push/ no-gzip no-brotli"]
        case .haproxy: ["remove \"compression algo\" from frontend and backend"]
        case .caddy: ["a matcher for encode that excludes Holdfast"]
        case .varnish, .squid, .unknown:
            ["turn off compression for this path, in every server on the way"]
        }
    }

    private func http2(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx: ["listen 443 ssl http2;   (from nginx 1.25.1: http2 on;)"]
        case .lighttpd: ["server.feature-flags += ( \"server.h2proto\" => \"enable\" )"]
        case .apache: ["Protocols h2 http/1.1   (with a2enmod http2)"]
        case .haproxy: ["bind :443 ssl crt … alpn h2,http/1.1"]
        case .caddy: ["no \"protocols\" without h2   (in servers of the global options)"]
        case .varnish, .squid, .unknown: ["switch HTTP/2 on, in the server that speaks TLS"]
        }
    }

    private func urls(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx: ["large_client_header_buffers 4 8k;"]
        case .lighttpd: ["server.max-request-field-size = 16384"]
        case .apache: ["LimitRequestLine 8190"]
        case .haproxy: ["tune.bufsize 16384   (in global)"]
        case .caddy: ["max_header_size 1MB   (in servers of the global options)"]
        case .varnish, .squid, .unknown:
            ["raise the limit of a request line to 8 kB, in every server on the way"]
        }
    }

    private func answerHeaders(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx:
            ["fastcgi_buffer_size 16k;", "fastcgi_buffers 4 16k;"]
        case .haproxy: ["tune.bufsize 16384   (in global)"]
        case .lighttpd, .apache, .caddy, .varnish, .squid, .unknown:
            ["allow 16 kB for the header of an answer: it repeats the query"]
        }
    }

    private func operators(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx:
            ["fastcgi_param HOLDFAST_OPERATOR …   only where auth_basic or another check applies"]
        case .lighttpd:
            ["\"HOLDFAST_OPERATOR\" in setenv.add-environment   only where auth.require applies"]
        case .apache:
            ["HOLDFAST_OPERATOR by SetEnv or ProxyFCGISetEnvIf   only where Require applies"]
        case .haproxy:
            ["set-param HOLDFAST_OPERATOR   only with an \"if\" on the client's identity"]
        case .caddy: ["env HOLDFAST_OPERATOR   only behind basicauth"]
        case .varnish, .squid, .unknown:
            ["set HOLDFAST_OPERATOR only for requests of authenticated operators"]
        }
    }

    private func parameters(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx: ["no fastcgi_param HOLDFAST_… from $http_…, $arg_… or $cookie_…"]
        case .lighttpd:
            ["no HOLDFAST_… in setenv.add-environment by a condition on a header or query"]
        case .apache: ["no HOLDFAST_… by SetEnvIf from a header or query"]
        case .haproxy: ["no set-param HOLDFAST_… from req.hdr or url_param"]
        case .caddy: ["no env HOLDFAST_… from {http.request.header…} or {query…}"]
        case .varnish, .squid, .unknown: ["derive no HOLDFAST_… parameter from what a client sends"]
        }
    }

    private func preflights(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx:
            ["limit_except OPTIONS { auth_basic …; }   (as in conf/recipes/nginx-basic.conf)"]
        case .lighttpd: ["$HTTP[\"request-method\"] != \"OPTIONS\" { auth.require = … }"]
        case .apache: ["<LimitExcept OPTIONS> Require … </LimitExcept>"]
        case .haproxy: ["http-request auth unless METH_OPTIONS"]
        case .caddy: ["basicauth with a matcher that excludes OPTIONS"]
        case .varnish, .squid, .unknown:
            ["let OPTIONS through without authentication: browsers send it without credentials"]
        }
    }

    private func crossOrigin(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx: ["no add_header Access-Control-…; [cors] of holdfast.ini decides"]
        case .lighttpd:
            ["no Access-Control-… in setenv.add-response-header; [cors] of holdfast.ini decides"]
        case .apache: ["no Header set Access-Control-…; [cors] of holdfast.ini decides"]
        case .haproxy:
            ["no http-response set-header Access-Control-…; [cors] of holdfast.ini decides"]
        case .caddy: ["no header Access-Control-…; [cors] of holdfast.ini decides"]
        case .varnish, .squid, .unknown:
            ["set no Access-Control-… elsewhere; [cors] of holdfast.ini decides"]
        }
    }

    private func accept(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx: ["no fastcgi_pass_request_headers off;, and HTTP_ACCEPT unchanged"]
        case .lighttpd, .apache, .haproxy, .caddy, .varnish, .squid, .unknown:
            ["pass on the header field Accept unchanged"]
        }
    }

    private func delays(_ server: ServerKind) -> [String] {
        switch server {
        case .haproxy: ["option http-no-delay   (in defaults, or frontend and backend)"]
        case .nginx: ["tcp_nodelay on;   (the default)"]
        case .apache: ["ProxyPass … flushpackets=on, not auto"]
        case .caddy: ["flush_interval -1   (in reverse_proxy)"]
        case .lighttpd, .varnish, .squid, .unknown:
            ["pass on at once what arrives, in every server on the way"]
        }
    }

    private func pace(_ server: ServerKind) -> [String] {
        switch server {
        case .apache:
            [
                "mod_proxy_fcgi instead of mod_fcgid, which starts a process for each held request, about one a second",
                "(with the lines of conf/apache.conf)",
            ]
        case .nginx, .lighttpd, .haproxy, .caddy, .varnish, .squid, .unknown:
            [
                "no separate process for each held request (mod_fcgid, CGI): one Holdfast serves all of them"
            ]
        }
    }

    private func connections(_ server: ServerKind) -> [String] {
        switch server {
        case .nginx:
            [
                "worker_connections 32768;   (in events)",
                "worker_rlimit_nofile 65536;   (outside of it, in the main part)",
            ]
        case .lighttpd: ["server.max-fds = 65536"]
        case .apache: ["MaxRequestWorkers 2048, with ServerLimit 32 and ThreadsPerChild 64"]
        case .haproxy: ["maxconn 16000   (in global)"]
        case .caddy, .varnish, .squid, .unknown:
            ["allow two connections for each held request in each server on the way"]
        }
    }
}
