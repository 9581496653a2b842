internal import CPQ
internal import Glibc
internal import System

/// A connection to PostgreSQL, for one thread at a time.
///
/// Every call has a deadline on the monotonic clock, in milliseconds. When it passes, the connection is closed: a
/// statement is never cancelled, since a commit that is cancelled while it waits for a standby counts as done.
@safe package final class PostgresConnection {
    private let functions: UnsafePointer<cpq_functions>
    // Open until deinit.
    private let handle: OpaquePointer
    private let notes: UnsafeMutablePointer<cpq_notes>
    /// Host, port and database, for messages.
    private let place: String
    /// The names of prepared statements, by their text.
    private var prepared: [String: String] = [:]
    /// Whether it can still be used.
    package private(set) var isOpen = true
    /// The connection's place in the list of hosts.
    package let host: Int

    /// Connects to the first host that can be reached and takes writes.
    ///
    /// libpq waits for a host that does not answer as long as the system does, so each host is tried separately, and its
    /// name is looked up before.
    ///
    /// - Parameters:
    ///   - options: as in libpq's connection string.
    ///   - preferred: the host to try first.
    ///   - hostMilliseconds: how long each may take.
    ///   - takesWrites: if false, a standby will do.
    package static func connect(
        _ options: String,
        preferred: Int = 0,
        hostMilliseconds: Int64,
        takesWrites: Bool = true
    ) throws(PostgresError) -> PostgresConnection {
        let target = try ConnectionTarget(options, takesWrites: takesWrites)
        var problems: [String] = []
        for number in 0..<target.hosts {
            let host = (preferred + number) % target.hosts
            do throws(PostgresError) {
                let deadline = MonotonicClock.milliseconds() + hostMilliseconds
                let options = target.options(ofHost: host)
                return try PostgresConnection(
                    HostAddresses.added(to: options, deadline: deadline),
                    place: name(options),
                    host: host,
                    deadline: deadline
                )
            } catch .library(let sentence) {
                throw .library(sentence)
            } catch {
                problems.append("\(error)")
            }
        }
        throw .connection(problems.joined(separator: "; "))
    }

    private init(
        _ options: [(keyword: String, value: String)],
        place: String,
        host: Int,
        deadline: Int64
    ) throws(PostgresError) {
        let functions = unsafe try PostgresLibrary.functions()
        unsafe self.functions = functions
        self.host = host
        self.place = place
        unsafe notes = .allocate(capacity: 1)
        unsafe notes.initialize(to: cpq_notes())
        guard let handle = unsafe Self.begin(functions, options) else {
            unsafe notes.deallocate()
            throw .connection("no memory for a connection")
        }
        unsafe self.handle = handle
        unsafe cpq_note(handle, notes)
        // Writable first, as libpq demands.
        var polled = Int32(cpq_polling_writing)
        while polled != Int32(cpq_polling_ok) {
            if unsafe functions.pointee.status(handle) == Int32(cpq_bad)
                || polled == Int32(cpq_polling_failed)
            {
                throw .connection(sentence)
            }
            let events = polled == Int32(cpq_polling_reading) ? POLLIN : POLLOUT
            guard waitFor(events, deadline) else {
                throw .timedOut("PostgreSQL (\(place)) has not accepted the connection in time")
            }
            polled = unsafe functions.pointee.connect_poll(handle)
        }
        guard unsafe functions.pointee.set_nonblocking(handle, 1) == 0 else {
            throw .connection(sentence)
        }
    }

    deinit {
        unsafe functions.pointee.finish(handle)
        unsafe notes.deallocate()
    }

    private static func begin(
        _ functions: UnsafePointer<cpq_functions>,
        _ options: [(keyword: String, value: String)]
    ) -> OpaquePointer? {
        unsafe PostgresLibrary.withArrays(of: options) { keywords, values in
            unsafe functions.pointee.connect_start(keywords, values, 0)
        }
    }

    private static func name(_ options: [(keyword: String, value: String)]) -> String {
        options.filter { ["host", "hostaddr", "port", "dbname"].contains($0.keyword) }
            .map { "\($0.keyword)=\($0.value)" }.joined(separator: " ")
    }

    private var sentence: String {
        guard let text = unsafe functions.pointee.error_message(handle) else { return "" }
        return unsafe String(cString: text).trimmedLine
    }

    /// To wait for notifications.
    package var descriptor: Int32 { unsafe functions.pointee.socket(handle) }

    /// As `SHOW server_version_num` has it.
    package var serverVersion: Int32 { unsafe functions.pointee.server_version(handle) }

    // MARK: Statements

    /// Runs a statement, prepared once, in a transaction of its own.
    ///
    /// - Parameter silence: once the answer has begun, each part of it moves the deadline to this many milliseconds
    ///   later.
    /// - Throws: also `.doubtful` if the server warned that a standby may not have the commit; the statement was done
    ///   then.
    package func run(
        _ sql: String,
        _ values: [PostgresValue] = [],
        deadline: Int64,
        silence: Int64? = nil
    ) throws(PostgresError) -> PostgresRows {
        guard isOpen else { throw .connection("the connection is closed") }
        let name = prepared[sql] ?? "holdfast\(prepared.count)"
        if prepared[sql] == nil {
            _ = try exchange(deadline) {
                unsafe functions.pointee.send_prepare(handle, name, sql, 0, nil)
            }
            prepared[sql] = name
        }
        let encoded = values.map(\.encoded)
        return try exchange(deadline, silence: silence) {
            unsafe PostgresLibrary.withPointers(to: encoded) { pointers in
                unsafe functions.pointee.send_prepared(
                    handle,
                    name,
                    Int32(values.count),
                    pointers,
                    encoded.map { Int32($0.count) },
                    values.map { _ in 1 },
                    1
                )
            }
        }
    }

    /// Runs statements without arguments and results, one after the other.
    package func runScript(_ sql: String, deadline: Int64) throws(PostgresError) {
        guard isOpen else { throw .connection("the connection is closed") }
        _ = try exchange(deadline) {
            unsafe functions.pointee.send_script(handle, sql)
        }
    }

    /// Waits for a notification and returns the payloads of all that have come, oldest first; none if the deadline
    /// passes.
    ///
    /// - Parameter wakesOn: a further descriptor whose readiness to be read ends the wait; -1: none.
    package func waitForNotification(deadline: Int64, wakesOn other: Int32 = -1)
        throws(PostgresError)
        -> [String]
    {
        while true {
            let found = takeNotifications()
            if !found.isEmpty { return found }
            guard isOpen else { throw .connection("the connection is closed") }
            let left = deadline - MonotonicClock.milliseconds()
            if left <= 0 { return [] }
            var places = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: other, events: Int16(POLLIN), revents: 0),
            ]
            let count = unsafe poll(&places, 2, Int32(clamping: left))
            if count <= 0 { continue }
            if places[1].revents != 0 { return [] }
            guard unsafe functions.pointee.consume(handle) == 1 else { throw lost() }
        }
    }

    /// The payloads of all that came with answers; libpq keeps them until they are taken.
    func takeNotifications() -> [String] {
        var payloads: [String] = []
        var payload: UnsafePointer<CChar>?
        while let taken = unsafe cpq_take_notification(handle, &payload) {
            if let payload = unsafe payload { unsafe payloads.append(String(cString: payload)) }
            unsafe functions.pointee.free_memory(taken)
        }
        return payloads
    }

    // MARK: The exchange

    private func exchange(
        _ first: Int64,
        silence: Int64? = nil,
        _ send: () -> Int32
    ) throws(PostgresError) -> PostgresRows {
        var deadline = first
        unsafe notes.pointee.doubts = 0
        guard send() == 1 else { throw lost() }
        while true {
            let flushed = unsafe functions.pointee.flush(handle)
            if flushed == 0 { break }
            guard flushed == 1 else { throw lost() }
            guard waitFor(POLLIN | POLLOUT, deadline) else { throw timedOut() }
            guard unsafe functions.pointee.consume(handle) == 1 else { throw lost() }
        }
        var rows: [[[UInt8]?]] = []
        var failure: PostgresError?
        while true {
            while unsafe functions.pointee.is_busy(handle) == 1 {
                guard waitFor(POLLIN, deadline) else { throw timedOut() }
                guard unsafe functions.pointee.consume(handle) == 1 else { throw lost() }
                if let silence { deadline = max(deadline, MonotonicClock.milliseconds() + silence) }
            }
            guard let result = unsafe functions.pointee.get_result(handle) else { break }
            defer { unsafe functions.pointee.clear(result) }
            switch Int(unsafe functions.pointee.result_status(result)) {
            case cpq_tuples: unsafe read(result, into: &rows)
            case cpq_command, cpq_empty: break
            default: unsafe failure = failure ?? error(of: result)
            }
        }
        if unsafe functions.pointee.status(handle) == Int32(cpq_bad) { throw lost() }
        if let failure {
            if failure.isAmbiguous { isOpen = false }
            throw failure
        }
        if unsafe notes.pointee.doubts > 0 { throw .doubtful }
        return PostgresRows(rows: rows)
    }

    private func read(_ result: OpaquePointer, into rows: inout [[[UInt8]?]]) {
        let columns = unsafe functions.pointee.columns(result)
        for row in 0..<(unsafe functions.pointee.rows(result)) {
            var values: [[UInt8]?] = []
            values.reserveCapacity(Int(columns))
            for column in 0..<columns {
                if unsafe functions.pointee.is_null(result, row, column) == 1 {
                    values.append(nil)
                    continue
                }
                let count = Int(unsafe functions.pointee.length(result, row, column))
                unsafe values.append(
                    Array(
                        UnsafeRawBufferPointer(
                            start: functions.pointee.value(result, row, column),
                            count: count
                        )
                    )
                )
            }
            rows.append(values)
        }
    }

    private func error(of result: OpaquePointer) -> PostgresError {
        func field(_ code: Int) -> String? {
            guard let text = unsafe functions.pointee.result_field(result, Int32(code)) else {
                return nil
            }
            return unsafe String(cString: text)
        }
        guard let state = field(cpq_sqlstate) else {
            // libpq's own error: the connection broke.
            isOpen = false
            return .connection(sentence)
        }
        return .server(state: state, field(cpq_primary) ?? "no reason given")
    }

    private func lost() -> PostgresError {
        isOpen = false
        return .connection(sentence)
    }

    private func timedOut() -> PostgresError {
        isOpen = false
        return .timedOut(
            "PostgreSQL (\(place)) has not answered in time; it may be unreachable, or waiting for a lock or a standby"
        )
    }

    /// Whether the event came before the deadline.
    private func waitFor(_ events: Int32, _ deadline: Int64) -> Bool {
        while true {
            let left = deadline - MonotonicClock.milliseconds()
            if left <= 0 { return false }
            var place = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            if unsafe poll(&place, 1, Int32(clamping: left)) > 0 { return true }
        }
    }
}
