/// The lines to change in a proxy in front of the server that speaks FastCGI.
extension Remedy {
    func proxyLines(for proxy: ServerKind) -> [String] {
        switch self {
        case .hidesDepartures: departures(proxy)
        case .buffers, .delaysEvents: buffering(proxy)
        case .cutsHolds: timeouts(proxy)
        case .compresses: compression(proxy)
        case .shortensURLs: urls(proxy)
        case .lacksHTTP2, .refusesPreflight, .ownCrossOriginFields, .hasFewConnections:
            // These do not concern FastCGI.
            lines(for: proxy)
        case .dropsAccept: ["pass on the header field Accept unchanged"]
        case .openToAll, .believesClients, .headerTooLarge, .beginsSlowly: []
        }
    }

    private func departures(_ proxy: ServerKind) -> [String] {
        switch proxy {
        case .nginx: ["proxy_ignore_client_abort off;   (the default)", "and no proxy_cache"]
        case .lighttpd: ["\"tcp-fin-propagate\" => \"enable\",   (in proxy.server)"]
        case .apache: ["it does not watch a waiting client, and no line changes that; use probes"]
        case .haproxy:
            ["option abortonclose   (in defaults or listen; in backend alone it does nothing)"]
        case .caddy: ["no flush_interval of more than 0, and no buffering"]
        case .varnish: ["if (req.url ~ \"^/push/\") { return (pipe); }   (in vcl_recv)"]
        case .squid:
            [
                "quick_abort_min 0 KB", "quick_abort_max 0 KB", "half_closed_clients off",
            ]
        case .unknown: ["it must not ignore that a client leaves"]
        }
    }

    private func buffering(_ proxy: ServerKind) -> [String] {
        switch proxy {
        case .nginx: ["proxy_buffering off;"]
        case .lighttpd: ["server.stream-response-body = 2"]
        case .apache: ["ProxyPass … flushpackets=on"]
        case .haproxy: ["option http-no-delay"]
        case .caddy: ["flush_interval -1   (in reverse_proxy)"]
        case .varnish: ["if (req.url ~ \"^/push/\") { return (pipe); }   (in vcl_recv)"]
        case .squid: ["no icap_service or ecap_service for this path"]
        case .unknown: ["no buffering of answers for this path"]
        }
    }

    private func timeouts(_ proxy: ServerKind) -> [String] {
        switch proxy {
        case .nginx: ["proxy_read_timeout 75s;"]
        case .lighttpd:
            [
                "server.max-write-idle = 3600",
                "and no \"read-timeout\" below max_wait   (in proxy.server)",
            ]
        case .apache: ["ProxyPass … timeout=75"]
        case .haproxy: ["timeout server 75s", "timeout client 75s"]
        case .caddy: ["no read_timeout and no response_header_timeout   (in transport http)"]
        case .varnish:
            [
                ".first_byte_timeout = 75s; .between_bytes_timeout = 75s;   (in backend)",
                "-p pipe_timeout=75   (where it pipes)",
            ]
        case .squid: ["read_timeout 75 seconds"]
        case .unknown: ["timeouts above max_wait"]
        }
    }

    private func compression(_ proxy: ServerKind) -> [String] {
        switch proxy {
        case .varnish: ["no set beresp.do_gzip = true; for this path"]
        case .squid: ["no eCAP or ICAP service that compresses"]
        case .nginx, .lighttpd, .apache, .haproxy, .caddy, .unknown: lines(for: proxy)
        }
    }

    private func urls(_ proxy: ServerKind) -> [String] {
        switch proxy {
        case .varnish: ["-p http_req_hdr_len=8k -p http_req_size=32k"]
        case .squid: ["request_header_max_size 64 KB"]
        case .nginx, .lighttpd, .apache, .haproxy, .caddy, .unknown: lines(for: proxy)
        }
    }
}

/// The line by which the web server asks for probes, if the proxy cannot be changed.
extension ServerKind {
    package var probingLine: String {
        switch self {
        case .nginx: "nginx: fastcgi_param HOLDFAST_PROBE on;"
        case .lighttpd:
            "lighttpd: setenv.add-environment = ( \"HOLDFAST_PROBE\" => \"on\" )"
        case .apache: "Apache: SetEnv HOLDFAST_PROBE on"
        case .haproxy: "HAProxy: set-param HOLDFAST_PROBE on   (in fcgi-app)"
        case .caddy: "Caddy: env HOLDFAST_PROBE on   (in transport fastcgi)"
        case .varnish, .squid, .unknown: "probe = always   (in [hold] of holdfast.ini)"
        }
    }
}
