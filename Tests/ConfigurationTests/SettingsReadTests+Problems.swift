import Channels
import Configuration
import Testing

/// The problems of a file, each with its line and what is allowed.
extension SettingsReadTests {
    /// The service started, and published nothing by the bus socket or the pipe, without a hint at the reason.
    @Test(arguments: [
        (
            "[fastcgi]\nlisten = /run/a\n[bus]\nsocket = /run//a",
            "f:4: [bus] socket has the path of [fastcgi] listen, /run/a; give each a path of its own"
        ),
        (
            "[pipe /run/a]\n[bus]\nsocket = /run/a",
            "f:3: [pipe /run/a] has the path of [bus] socket, /run/a; give each a path of its own"
        ),
        (
            "[pipe /run/holdfast/holdfast.sock]",
            "f:1: [pipe /run/holdfast/holdfast.sock] has the path of [fastcgi] listen, /run/holdfast/holdfast.sock;"
                + " give each a path of its own"
        ),
        (
            "[bus]\ndirectory = /run/a\nsocket = /run/a",
            "f:3: [bus] directory has the path of [bus] socket, /run/a; give each a path of its own"
        ),
        (
            "[pipe /run/a]\n[pipe /run//a]",
            "f:2: [pipe /run//a] has the path of [pipe /run/a], /run/a; give each a path of its own"
        ),
    ])
    func `two things had the same path`(text: String, problem: String) {
        #expect(problems(text) == [problem])
    }

    @Test func `all problems come at once, in the file's order`() {
        let text = """
            stray = 1
            [fastcgi]
            listen = 0.0.0.0:9000
            mode = 0666
            mode = 0660
            grop = www-data
            base =
            [hodl]
            max_wait = 1
            [hold]
            max_wait = 90
            wait = 5
            retain
            [limits]
            max_wait = 5
            zzz = 1
            [fastcgi]
            base = /x
            [endpoint /sub]
            action = subscribe
            [endpoint /pub]
            channels = a
            """
        #expect(
            problems(text) == [
                "f:1: key 'stray' stands before any section; put it below its [section]",
                "f:3: listen = 0.0.0.0:9000 is not a loopback address; FastCGI has no"
                    + " authentication, so any client that reaches the port could claim any right; allowed:"
                    + " an absolute path of at most 107 bytes, 127.0.0.1:PORT, [::1]:PORT, or"
                    + " inherited",
                "f:4: mode = 0666 grants access that a socket without authentication must not grant;"
                    + " allowed: an octal mode of at most 0660, such as 0600 or 0660",
                "f:5: key 'mode' was already in line 4; a section may have it only once",
                "f:6: unknown key 'grop' in [fastcgi]; did you mean 'group'?",
                "f:7: 'base' has no value; allowed: a path that begins and ends with '/'",
                "f:8: unknown section [hodl]; did you mean [hold]?",
                "f:11: max_wait = 90 is out of range; allowed: 1s to 55s",
                "f:12: unknown key 'wait' in [hold]; did you mean 'max_wait', or the key of [endpoint]?",
                "f:13: 'retain' is neither a section nor a key nor a comment; write [section],"
                    + " key = value, or # before a comment",
                "f:15: unknown key 'max_wait' in [limits]; it belongs in [hold]",
                "f:16: unknown key 'zzz' in [limits]; allowed are message_bytes, batch_bytes, batch_messages,"
                    + " request_variable_bytes, channels_per_request, answer_messages,"
                    + " answer_bytes, held_requests, held_per_subscriber, held_per_address, bus_clients, channels, publish_queue_messages,"
                    + " publish_queue_bytes, unsent_bytes, unsent_bytes_total, unsent_timeout, unfinished_bytes,"
                    + " request_timeout and token_memory",
                "f:17: section [fastcgi] was already in line 2; write its keys in one place",
                "f:18: base = /x does not begin and end with '/'; allowed: a path that begins and"
                    + " ends with '/'",
                "f:19: [endpoint /sub] has no channels; action = subscribe needs channels = NAME",
                "f:21: [endpoint /pub] has no action; add action = subscribe, publish or held",
            ]
        )
    }

    @Test(arguments: [
        ("[fastcgi]\nlisten", ["inherited", "/s", "127.0.0.1:1", "127.9.9.9:65535", "[::1]:9000"]),
        ("[fastcgi]\nlisten", ["/" + String(repeating: "x", count: 106)]),
        ("[fastcgi]\nmode", ["0660", "660", "0600", "0000"]),
        ("[fastcgi]\ngroup", ["own", "www-data", "_x", "a.b"]),
        ("[fastcgi]\nbase", ["/", "/push/", "/a/b-c/~d/"]),
        ("[bus]\ndirectory", ["/a", "/a b/c", "/ä"]),
        ("[bus]\nmax_bytes", ["1M", "1m", "1T", "1048576", "1024k"]),
        ("[hold]\nmax_wait", ["1", "55s", "55S", "0055"]),
        ("[hold]\njitter", ["0", "50", "50%"]),
        ("[cors]\norigins", ["none", "*", "http://a", "https://a:80", "http://a:443", "app://x"]),
        ("[cors]\nmax_age", ["0", "1d", "24h", "1440m"]),
        ("[log]\nlevel", ["debug", "info", "notice", "warning", "error"]),
        ("[log]\nformat", ["text", "logfmt", "json"]),
        (
            "[allow a]\nread",
            ["everyone", "nobody", "user:www-data", "user:0, group:1000 group:_x"]
        ),
        ("[bus]\nsocket", ["none", "/run/x"]),
        ("[quota alice@example.org]\nbytes", ["1", "1T", "any"]),
        ("[quota *]\nmessages", ["1", "any"]),
        ("[pipe /run/a]\nchannel", ["by_line", "news/sport"]),
        ("[pipe /run/a]\nchannels", ["**", "news/*, jobs/**"]),
    ])
    func `these values are allowed`(key: String, values: [String]) {
        for value in values { #expect(problems("\(key) = \(value)") == []) }
    }

    @Test(arguments: [
        (
            "[fastcgi]\nlisten",
            [
                "localhost:9000", "9000", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:9000",
                "[::]:9000", "10.0.0.1:9000", "127.0.0.01:9000", "127.0.0:9000", "run/x", "/run/",
                "/" + String(repeating: "x", count: 107), "\"/run/x\"", "[::1]", ":9000",
                "127.0.0.1:+80", "127.0.0.1:٣",
            ]
        ),
        (
            "[fastcgi]\nmode",
            ["0666", "0770", "0661", "1660", "rw-rw----", "8", "66", "00660", "-660"]
        ),
        ("[fastcgi]\ngroup", ["0", "33", "-x", "www data", String(repeating: "g", count: 33)]),
        ("[fastcgi]\nbase", ["push/", "/push", "//", "/a//b/", "/../", "/a%20b/", "/a?b/", "/ä/"]),
        (
            "[fastcgi]\nmax_connections",
            ["0", "1000001", "-1", "1.5", "1k", "99999999999999999999"]
        ),
        ("[bus]\ndirectory", ["/", "///", "var", "/" + String(repeating: "x", count: 1024)]),
        ("[bus]\ndurability", ["Power", "disk", "process power"]),
        (
            "[bus]\nmax_bytes",
            ["1048575", "1025G", "9999999999999999999T", "9223372036854775807k", "1MB", "k", "1 M"]
        ),
        ("[hold]\nmax_wait", ["0", "56", "1m", "1h", "25 s", "25ms", "s", "-1", "٣"]),
        ("[hold]\njitter", ["51", "%", "10%%", "-1%"]),
        ("[hold]\nearly_headers", ["true", "On", "1", "yes"]),
        (
            "[cors]\norigins",
            [
                "null", "example.org", "https://a/", "https://a/b", "https://A.example",
                "https://a:443", "http://a:80", "https://*.a", "http://", "https://a:0",
                "https://a:99999", "http://a, *", "*, *", "none, http://a", "https://u@a",
                "http://[::1", "http://a:", "https//a", ",",
            ]
        ),
        ("[cors]\nmax_age", ["25h", "2d"]),
        ("[log]\nlevel", ["trace", "INFO", "3"]),
        ("[retain a]\ncount", ["0", "ten"]),
        ("[retain a]\nage", ["0s", "3651d"]),
        (
            "[allow a]\nread",
            [
                "all", "on", "user:", "user:a:b", "user:-x", "user:1x", "uid:0", "everyone user:a",
                "33",
            ]
        ),
        ("[bus]\nsocket", ["bus.sock", "/run/", "/" + String(repeating: "x", count: 107)]),
        ("[bus]\nsocket_mode", ["0666", "0770"]),
        ("[pipe /p]\nchannel", ["-/a", "a b", "~x"]),
        ("[pipe /p]\nmode", ["0622", "0666"]),
        ("[pipe /p]\nchannels", ["a**", ","]),
        ("[pipe /p]\nchannel = a\nformat", ["xml", "JSON"]),
        ("[quota a]\nmessages", ["0", "-1", "1000000001", "none"]),
        ("[quota a]\nmessages = 1\nper", ["0s", "2d", "1s1"]),
        (
            "[endpoint /x]\naction = subscribe\nchannels",
            ["-/a", "~a", "a//b", "a/../b", "ä", ",", "a a"]
        ),
        ("[endpoint /x]\naction = subscribe\nchannels = a\nwait", ["0", "3601", "2h"]),
        ("[endpoint /x]\naction = subscribe\nchannels = a\non_timeout", ["200", "empty"]),
        ("[endpoint /x]\nchannels = a\naction", ["poll"]),
    ])
    func `each of these values is one problem on its line, with the allowed values`(
        key: String,
        values: [String]
    ) {
        let line = key.split(separator: "\n").count
        for value in values {
            let found = problems("\(key) = \(value)")
            #expect(found.count == 1, "\(key) = \(value)")
            #expect(found.first?.hasPrefix("f:\(line): ") == true, "\(found)")
            #expect(found.first?.contains("; allowed: ") == true, "\(found)")
        }
    }

    @Test(arguments: [
        (
            "[pipe]",
            "f:1: section [pipe] lacks its path; write for example [pipe /run/holdfast-bus/bus.pipe]"
        ),
        (
            "[pipe bus.pipe]",
            "f:1: path 'bus.pipe' is not an absolute path; allowed: an absolute path of at most 1024 bytes"
        ),
        (
            "[pipe /p]\nformat = json",
            "f:2: 'format' has no effect if each line names its channel; allowed with channel = NAME"
        ),
        (
            "[pipe /p]\nchannel = a\nchannels = b",
            "f:3: 'channels' has no effect with channel = a; allowed with channel = by_line"
        ),
        (
            "[quota a]\nper = 1h",
            "f:1: [quota a] sets no bound; add messages = NUMBER or bytes = SIZE"
        ),
        (
            "[quota]\nbytes = 1",
            "f:1: section [quota] lacks its publisher; write for example [quota alice], or [quota *] for"
                + " each publisher without a section of its own"
        ),
        (
            "[retain]\ncount = 1",
            "f:1: section [retain] lacks its channel pattern, such as [retain news/**]"
        ),
        (
            "[allow a**]",
            "f:1: 'a**' is not a channel pattern; allowed are channel names in which '*' stands"
                + " for one segment and '**' for any number, such as [allow news/**]"
        ),
        (
            "[endpoint]\naction = held",
            "f:1: section [endpoint] lacks its path; write for example [endpoint /sub]"
        ),
        (
            "[endpoint sub]\naction = held",
            "f:1: path 'sub' does not begin with '/'; allowed is a path as it appears in requests, such as"
                + " [endpoint /sub]"
        ),
        (
            "[endpoint /push/-/live]\naction = held",
            "f:1: path '/push/-/live' would hide a path of the service; allowed is one that does not"
                + " begin with /push/-/"
        ),
        ("[hold chat]", "f:1: section [hold] has the argument 'chat'; write [hold] alone"),
        (
            "[allow a]\n[allow a]",
            "f:2: section [allow a] was already in line 1; write its keys in one place"
        ),
        ("[Hold]", "f:1: unknown section [Hold]; did you mean [hold]?"),
        (
            "[websocket]",
            "f:1: unknown section [websocket]; allowed are [fastcgi], [bus], [engine], [pipe], [retain], [allow], [key], [quota],"
                + " [hold], [presence], [limits], [cors], [endpoint] and [log]"
        ),
        (
            "[endpoint /p]\naction = publish\nchannels = a\ncursor = cookie",
            "f:4: 'cursor' has no effect with action = publish; allowed there: action and channels"
        ),
        (
            "[endpoint /p]\naction = held\nchannels = a",
            "f:3: 'channels' has no effect with action = held; allowed there: action"
        ),
        (
            "[endpoint /p]\naction = publish\nchannels = a b c\n[limits]\nchannels_per_request = 2",
            "f:3: 3 channels are more than a request may name; allowed: 2, see channels_per_request in"
                + " [limits]"
        ),
        (
            "[limits]\nmessage_bytes = 1M\n[bus]\nmemory_bytes = 512k",
            "f:4: [bus] memory_bytes = 512k is too small for [limits] message_bytes = 1M; allowed: at"
                + " least message_bytes, because the newest message must fit in memory"
        ),
        (
            "[limits]\nheld_requests = 10\n[fastcgi]\nmax_connections = 10",
            "f:4: [fastcgi] max_connections = 10 is too small for [limits] held_requests = 10; allowed: at"
                + " least 1.1 times held_requests, because requests that are not held, such as publishes and"
                + " -/live, need connections, too"
        ),
        (
            "[limits]\nheld_requests = 22000",
            "f:2: [fastcgi] max_connections = 24000 is too small for [limits] held_requests = 22000;"
                + " allowed: at least 1.1 times held_requests, because requests that are not held, such as"
                + " publishes and -/live, need connections, too"
        ),
        (
            "[limits]\nmessage_bytes = 1k\nbatch_bytes = 1k\nunfinished_bytes = 255k",
            "f:4: [limits] unfinished_bytes = 255k is too small for [limits] request_variable_bytes = 128k;"
                + " allowed: at least 2 times request_variable_bytes, because the variables of a request must"
                + " be able to arrive"
        ),
        (
            "[limits]\nbatch_bytes = 2M\nunfinished_bytes = 7M",
            "f:3: [limits] unfinished_bytes = 7M is too small for [limits] batch_bytes = 2M; allowed: at"
                + " least 4 times batch_bytes, because several batches must be able to arrive at a time"
        ),
        (
            "[limits]\nunsent_bytes = 1M\nanswer_bytes = 1M",
            "f:3: [limits] unsent_bytes = 1M is too small for [limits] answer_bytes = 1M; allowed: at"
                + " least 2 times answer_bytes, because an encoded answer must fit"
        ),
        (
            "[limits]\nunsent_bytes = 64M",
            "f:2: [limits] unsent_bytes_total = 64M is too small for [limits] unsent_bytes = 64M; allowed:"
                + " at least 2 times unsent_bytes, because one peer that does not read must not end others"
        ),
        (
            "[fastcgi]\nlisten = \"/run/x\"",
            "f:2: listen = \"/run/x\" is neither a path nor an address with a port; allowed: an absolute"
                + " path of at most 107 bytes, 127.0.0.1:PORT, [::1]:PORT, or inherited (without"
                + " quotation marks)"
        ),
    ])
    func `each problem is described in a sentence`(text: String, expected: String) {
        #expect(problems(text) == [expected])
    }

    @Test func `a value that cannot be read is not compared with others`() {
        #expect(
            problems("[bus]\nmemory_bytes = ten\n[limits]\nmessage_bytes = 16M\nunsent_bytes = 32M")
                .count == 1
        )
    }

    @Test func `what the file says is shown without invisible characters, and not endlessly`() {
        #expect(
            problems("[hold]\nmax\u{A0}wait = 1\nmax_wait = 5\u{202E}") == [
                "f:2: unknown key 'max\\u{A0}wait' in [hold]; did you mean 'max_wait'?",
                "f:3: max_wait = 5\\u{202E} is not a duration such as 25, 25s, 10m, 2h or 7d;"
                    + " allowed: 1s to 55s",
            ]
        )
        let long = problems("[hold]\nmax_wait = " + String(repeating: "9", count: 10_000))
        #expect(long.count == 1 && long[0].utf8.count < 200)
    }
}
