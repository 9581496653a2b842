import Channels
import Configuration
import Testing

struct SettingsReloadTests {
    @Test(arguments: [
        ("", "", [], []),
        ("", "[hold]\nmax_wait = 5", ["[hold] max_wait"], []),
        ("", "[fastcgi]\nlisten = inherited", [], ["[fastcgi] listen"]),
        (
            "[log]\nlevel = debug\n[bus]\ndirectory = /a",
            "[bus]\ndirectory = /b\ndurability = power\n[fastcgi]\nbase = /x/",
            ["[fastcgi] base", "[log] level"], ["[bus] directory", "[bus] durability"]
        ),
        // 25 and 25s are the same value.
        ("[hold]\nmax_wait = 25", "[hold]\nmax_wait = 25s", [], []),
        ("", "[retain a]\ncount = 5", ["[retain a]"], []),
        ("[retain a]\ncount = 5", "", ["[retain a]"], []),
        (
            "[retain a]\ncount = 5", "[retain a]\nage = 5", ["[retain a] count", "[retain a] age"],
            []
        ),
        ("[allow a]\n[allow b]", "[allow b]\n[allow a]", ["[allow b]", "[allow a]"], []),
        ("[allow a]\n[allow b]", "[allow c]\n[allow a]\n[allow b]", ["[allow c]"], []),
        (
            "[endpoint /a]\naction = held",
            "[endpoint /a]\naction = publish\nchannels = x",
            ["[endpoint /a] action", "[endpoint /a] channels"], []
        ),
        // memory_bytes stays as it was, so the message size that needs more must stay too.
        (
            "", "[bus]\nmemory_bytes = 64M\n[limits]\nmessage_bytes = 16M\nunsent_bytes = 32M",
            ["[limits] message_bytes", "[limits] unsent_bytes"], ["[bus] memory_bytes"]
        ),
        (
            "[bus]\nmemory_bytes = 1M", "[bus]\nmemory_bytes = 2M\n[limits]\nmessage_bytes = 2M",
            [], ["[bus] memory_bytes", "[limits] message_bytes"]
        ),
    ])
    func `a reload names what it applies and what it cannot`(
        old: String,
        new: String,
        applied: [String],
        needsRestart: [String]
    ) throws {
        let (old, new) = (try settings(old), try settings(new))
        let differences = Settings.reloadDifferences(from: old, to: new)
        #expect(differences.applied == applied)
        #expect(differences.needsRestart == needsRestart)
        // What is in force afterwards differs from the new file exactly by what needs a restart,
        // and reading the same file again applies nothing more.
        let result = old.reloaded(with: new)
        let rest = Settings.reloadDifferences(from: result, to: new)
        #expect(rest.applied.isEmpty)
        #expect(rest.needsRestart == needsRestart)
        #expect((result == new) == needsRestart.isEmpty)
        #expect(try settings(result.render()) == result)
    }

    @Test func `every key of the table takes part`() throws {
        let changed = try settings(
            """
            [fastcgi]
            listen = inherited
            mode = 0600
            group = g
            base = /b/
            remote_user = believed
            max_connections = 2
            stop_timeout = 1
            [bus]
            directory = /d
            group = g
            socket = none
            socket_mode = 0600
            socket_group = g
            durability = power
            max_bytes = 1M
            reserve_bytes = 64k
            memory_messages = 1
            memory_bytes = 64k
            [hold]
            max_wait = 1
            jitter = 1
            early_headers = on
            probe = off
            probe_interval = 5s
            probe_bytes = 9k
            heartbeat = 5s
            stream_life = 1h
            granted_life = 1h
            cache_history = 1m
            [limits]
            message_bytes = 1
            batch_bytes = 1k
            batch_messages = 1
            request_variable_bytes = 4k
            channels_per_request = 1
            answer_messages = 1
            answer_bytes = 1k
            held_requests = 1
            held_per_subscriber = 2
            held_per_address = 3
            bus_clients = 1
            channels = 1
            publish_queue_messages = 1
            publish_queue_bytes = 1k
            unsent_bytes = 4k
            unsent_bytes_total = 1M
            unsent_timeout = 1
            unfinished_bytes = 64k
            request_timeout = 1
            token_memory = 64k
            [cors]
            origins = *
            max_age = 0
            [log]
            level = error
            format = json
            """
        )
        let names = Settings.reloadDifferences(from: Settings(), to: changed)
        let keys = SettingsTable.sections.flatMap { section in
            section.keys.map { "[\(section.name)] \($0.name)" }
        }
        #expect((names.applied + names.needsRestart).sorted() == keys.sorted())
        #expect(try settings(changed.render()) == changed)
    }
}
