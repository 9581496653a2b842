import Channels
import Configuration
import Liveness
import Testing

@testable import Endpoint

/// What bounds, probes, presence and leaving go by.
@Suite struct OriginTests {
    @Test func `the origin of a poll is taken from the web server's parameters`() throws {
        let http = HTTPInterface.open { $0.presence = [PresenceRule(pattern: .any)] }
        let poll = try #require(
            http.poll(
                .get(
                    "/push/a?wait=9&name=Ada+L.",
                    [
                        "SERVER_SOFTWARE": "nginx/1.22.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7",
                        "REMOTE_ADDR": "127.0.0.1", "HOLDFAST_PROBE": "on",
                        "HOLDFAST_EARLY_HEADERS": "off",
                    ]
                )
            )
        )
        let origin = poll.origin
        #expect(origin.frontEnd == FrontEnd(software: "nginx/1.22.1", isForwarded: true))
        #expect(origin.wish == ProbePolicy.Wish(probe: true, headers: false))
        #expect(origin.member == Member(name: "Ada L.", isVerified: false))
        #expect(origin.address != nil)
        let plain = try #require(http.poll(.get("/push/a?wait=9"))).origin
        #expect(plain.frontEnd == FrontEnd(software: "", isForwarded: false))
        #expect(plain.wish == ProbePolicy.Wish())
        #expect(plain.member == nil && plain.address == nil)
    }

    @Test(arguments: [
        (["HTTP_X_FORWARDED_FOR": "192.0.2.7"], false),
        (["HTTP_X_FORWARDED_FOR": "192.0.2.7", "REMOTE_ADDR": "192.0.2.7%eth0"], false),
        (["HTTP_X_FORWARDED_FOR": "198.51.100.9, 192.0.2.7"], true),
        (["HTTP_X_FORWARDED_FOR": "198.51.100.9"], true),
        (["HTTP_X_FORWARDED_FOR": "192.0.2.7", "HTTP_VIA": "1.1 squid"], true),
        (["HTTP_X_FORWARDED_FOR": "192.0.2.7", "HTTP_FORWARDED": "for=192.0.2.7"], true),
        // A server that puts the client's address in the place of the proxy's, as nginx' real_ip.
        (["HTTP_X_FORWARDED_FOR": "192.0.2.7", "SERVER_SOFTWARE": "nginx/1.22.1"], true),
    ])
    func `the address that Caddy adds itself was taken for a proxy's`(
        parameters: [String: String],
        isForwarded: Bool
    ) {
        let usual = ["SERVER_SOFTWARE": "Caddy/2.6.2", "REMOTE_ADDR": "192.0.2.7"]
        let all = usual.merging(parameters) { $1 }.map { ($0.key, $0.value) }
        for order in [all, all.reversed()] {
            #expect(CGIRequest(order).isForwarded == isForwarded)
        }
    }

    @Test func `the web server's user wins over the name that a client gives itself`() throws {
        let http = HTTPInterface.open { $0.presence = [PresenceRule(pattern: .any)] }
        let poll = try #require(http.poll(.get("/push/a?name=root", ["HOLDFAST_USER": "ada"])))
        #expect(poll.origin.member == Member(name: "ada", isVerified: true))
        // What a client claims, and what stands for an address, is not the name of a user.
        let claimed = CGIRequest.get(
            "/push/a?wait=9",
            ["REMOTE_USER": "root", "HOLDFAST_PUBLISHER": "192.0.2.7"]
        )
        #expect(try #require(http.poll(claimed)).origin.member == nil)
        let elsewhere = try #require(HTTPInterface.open().poll(.get("/push/a?name=root")))
        #expect(elsewhere.origin.member == nil)
    }

    @Test func `an image on any page made its visitor present on a channel`() throws {
        let http = HTTPInterface.open { $0.presence = [PresenceRule(pattern: .any)] }
        for (site, member) in [
            ("cross-site", nil as String?), ("same-site", nil), ("same-origin", "ada"),
            ("none", "ada"),
        ] {
            let request = CGIRequest.get(
                "/push/a?wait=9",
                ["HOLDFAST_USER": "ada", "HTTP_SEC_FETCH_SITE": site]
            )
            #expect(try #require(http.poll(request)).origin.member?.name == member)
        }
    }

    @Test(arguments: [
        "%0A", "a%07", "%20", "%E2%80%AEreversed", String(repeating: "a", count: 129), "%C2%A0",
    ])
    func `a name that others could not read is refused`(name: String) {
        let http = HTTPInterface.open { $0.presence = [PresenceRule(pattern: .any)] }
        #expect(http.refusal(.get("/push/a?name=\(name)")) == "invalid_name")
    }

    @Test func `leaving takes the subscriber's id as a form, as a text and in the query`() throws {
        let http = HTTPInterface.open()
        let id = "0123456789abcdef"
        let asked = try #require(http.poll(.get("/push/a?subscriber=\(id)"))).origin.subscriber
        for (uri, type, body) in [
            ("/push/-/leave", "application/x-www-form-urlencoded", "subscriber=\(id)"),
            ("/push/-/leave", "text/plain;charset=UTF-8", "subscriber=\(id)"),
            ("/push/-/leave?subscriber=\(id)", "text/plain", ""),
        ] {
            let intent = http.intent(of: .post(uri, ["CONTENT_TYPE": type], body: body), random: 0)
            guard case .leave(let subscriber, _) = intent else {
                Issue.record("\(intent)")
                continue
            }
            #expect(subscriber == asked)
        }
        #expect(http.refusal(.post("/push/-/leave", body: "")) == "no_subscriber")
        #expect(http.refusal(.get("/push/-/leave")) == "method_not_allowed")
        let other = CGIRequest.post(
            "/push/-/leave",
            ["HTTP_ORIGIN": "https://other.test", "HTTP_HOST": "here.test"],
            body: "subscriber=\(id)"
        )
        #expect(http.refusal(other) == "cross_site_write")
    }

    @Test
    func `a channel of Holdfast's own is read by the rules of what it tells of, and never written`()
    {
        let http = HTTPInterface(
            settings: {
                var settings = Settings()
                settings.allow = [
                    AllowRule(pattern: ChannelPattern("open")!, read: .everyone, publish: .everyone)
                ]
                settings.presence = [PresenceRule(pattern: .any)]
                return settings
            }()
        )
        #expect(http.poll(.get("/push/~presence/open")) != nil)
        #expect(http.refusal(.get("/push/~presence/closed")) == "read_forbidden")
        #expect(http.refusal(.get("/push/-/presence/closed")) == "read_forbidden")
        #expect(http.refusal(.get("/push/~presence/~presence/open")) == "invalid_channel")
        #expect(http.refusal(.get("/push/~other")) == "invalid_channel")
        for request in [
            CGIRequest.post("/push/~presence/open", ["HOLDFAST_WRITE": "**"], body: "x"),
            CGIRequest(
                [("REQUEST_METHOD", "DELETE"), ("REQUEST_URI", "/push/~presence/open")],
                body: []
            ),
        ] {
            #expect(http.refusal(request) == "reserved_channel")
        }
        let off = HTTPInterface.open()
        #expect(off.refusal(.get("/push/-/presence/open")) == "presence_off")
    }
}
