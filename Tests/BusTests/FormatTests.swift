import Channels
import Foundation
import Synchronization
import Testing

@testable import Bus

/// Logs that older releases have written.
@Suite struct FormatTests {
    /// What version 0.2 made of an empty file, to the letter; without the last table and the version it is format 1.
    private static let format2 = """
        CREATE TABLE state (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            head INTEGER NOT NULL, trim_stamp INTEGER NOT NULL, forgotten_through INTEGER NOT NULL,
            epoch INTEGER NOT NULL, channels INTEGER NOT NULL, messages INTEGER NOT NULL,
            clock INTEGER NOT NULL, clock_boot INTEGER NOT NULL, boot TEXT NOT NULL
        );
        INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, '');
        CREATE TABLE epochs (
            number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, start INTEGER NOT NULL
        );
        CREATE TABLE channels (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
            last_offset INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
            due INTEGER,
            trimmed_through INTEGER NOT NULL, trim_reason INTEGER NOT NULL, trim_stamp INTEGER NOT NULL
        );
        CREATE INDEX channels_by_trim ON channels (trim_stamp);
        CREATE INDEX channels_by_due ON channels (due) WHERE due IS NOT NULL;
        CREATE INDEX channels_idle ON channels (last_offset) WHERE count = 0;
        CREATE TABLE messages (
            offset INTEGER PRIMARY KEY, channel INTEGER NOT NULL,
            time INTEGER NOT NULL, kept INTEGER NOT NULL, expires INTEGER,
            kind INTEGER NOT NULL, content_type TEXT NOT NULL, type TEXT, topic TEXT,
            body BLOB NOT NULL
        );
        CREATE INDEX messages_by_channel ON messages (channel, offset);
        CREATE INDEX messages_by_expiry ON messages (expires) WHERE expires IS NOT NULL;
        CREATE INDEX messages_by_topic ON messages (channel, topic) WHERE topic IS NOT NULL;
        CREATE TABLE idempotency (
            scope TEXT PRIMARY KEY, digest BLOB NOT NULL,
            first INTEGER NOT NULL, count INTEGER NOT NULL, kept INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX idempotency_by_age ON idempotency (kept);
        PRAGMA application_id = 1213156420;
        """
    private static let quotas = """
        CREATE TABLE quotas (
            publisher TEXT PRIMARY KEY,
            messages_full INTEGER NOT NULL, bytes_full INTEGER NOT NULL, until INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX quotas_by_end ON quotas (until);
        """

    private let key = IdempotencyKey(publisher: "p:1", key: "k")

    /// Three messages in two epochs, the last with a key, and the witness of a process that has ended.
    private func write(_ version: Int, _ settings: BusSettings, _ clock: GivenClock) throws {
        let directory = try BusDirectory(settings: settings)
        let now = clock.wall.load(ordering: .relaxed)
        let boot = clock.boot.load(ordering: .relaxed)
        let digest = AppendDigest.of(Append(ticket: 0, drafts: [draft("a", "three")]))
        let hexadecimal = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let database = try Database(path: directory.logPath, .create)
        try database.execute(
            """
            PRAGMA page_size = 4096;
            PRAGMA journal_mode = WAL;
            \(Self.format2)
            \(version == 2 ? Self.quotas : "")
            PRAGMA user_version = \(version);
            INSERT INTO epochs VALUES (1, 'aaaa1111', 1), (2, 'bbbb2222', 3);
            INSERT INTO channels VALUES (1, 'a', 3, 3, 11, \(now + 1_000_000), 0, 1, 0);
            INSERT INTO messages VALUES
                (1, 1, \(now), \(now), NULL, 1, 'text/plain', NULL, NULL, CAST('one' AS BLOB)),
                (2, 1, \(now), \(now), NULL, 1, 'text/plain', NULL, NULL, CAST('two' AS BLOB)),
                (3, 1, \(now), \(now), NULL, 1, 'text/plain', NULL, NULL, CAST('three' AS BLOB));
            INSERT INTO idempotency VALUES ('3:1:p:1ka', x'\(hexadecimal)', 3, 1, \(now)),
                ('0:1:ka', x'00', 1, 1, \(now));
            UPDATE state SET head = 3, epoch = 2, channels = 1, messages = 3, clock = \(now),
                clock_boot = \(boot), boot = 'boot-1';
            PRAGMA wal_checkpoint(TRUNCATE);
            """
        )
        try WakePage(directory, boot: "boot-1").write(
            LogWitness(
                files: directory.files,
                head: 3,
                boot: "boot-1",
                epoch: "bbbb2222",
                synced: false
            )
        )
    }

    @Test(arguments: [1, 2])
    func `an older release's log is brought up to date where it is`(version: Int) throws {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        let clock = GivenClock()
        try write(version, settings, clock)
        clock.advance(seconds: 60)
        var probe = LogProbe(settings, clocks: clock.clocks())
        #expect(probe.now.unavailable == [])
        let state = try #require(probe.now.opened.first)
        #expect(state.epochs.stretches.count == 2)
        #expect(state.messages.map(\.text) == ["one", "two", "three"])
        let (old, new) = (Epoch("aaaa1111")!, Epoch("bbbb2222")!)
        // Whether anything was lost where the second epoch began was not noted then.
        #expect(
            state.epochs.verdict(on: Cursor(epoch: old, offset: Offset(1)), head: state.head)
                == .restarted(resume: Offset(1))
        )
        for offset in [Offset(1), Offset(3)] {
            #expect(
                state.epochs.verdict(on: Cursor(epoch: new, offset: offset), head: state.head)
                    == .valid(offset)
            )
        }
        #expect(
            probe.append(draft("a", "three"), key: key)
                == .repeated(ids: [Cursor(epoch: new, offset: Offset(3))])
        )
        #expect(probe.append(draft("a", "other"), key: key) == .conflict)
        let four = probe.outcome(
            of: probe.send(
                [draft("a", "four")],
                quota: PublisherQuota(publisher: "p", limits: .of(messages: 5))
            )
        )
        #expect(four.id == Cursor(epoch: new, offset: Offset(4)))
        #expect(probe.read(["a"], .age(milliseconds: 30_000)).messages.map(\.text) == ["four"])
        probe.stop()
        #expect(try integrity(directory.path + "/bus") == "ok")
        #expect(try countsAgree(directory.path + "/bus"))
        #expect(try rowCount("keys", directory.path + "/bus") == 2)
        // And is then as any other.
        probe = LogProbe(settings, clocks: clock.clocks())
        #expect(probe.now.opened[0].epochs.stretches.count == 2)
        #expect(probe.read(["a"], .after(.start)).messages.count == 4)
        probe.stop()
    }

    @Test func `a newer release's log is left as it is`() throws {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        LogProbe(settings).stop()
        try execute("PRAGMA user_version = 4", settings.directory)
        let probe = LogProbe(settings)
        #expect(probe.now.unavailable.first?.contains("format 4") == true)
        probe.stop()
    }
}
