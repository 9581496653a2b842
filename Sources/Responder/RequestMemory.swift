internal import Endpoint
internal import Glibc

/// Decoded requests, for later requests with the same variables: when a message is delivered, thousands of clients ask
/// for the next one, and their requests differ in little but an address.
///
/// Each is kept with its common variables as they were sent, and is found by comparing these to the byte. It is kept
/// without particulars: `lend` forgets those of one request before the next one comes.
///
/// Reactor thread only.
@safe final class RequestMemory {
    struct Entry {
        fileprivate(set) var request = CGIRequest()
        /// The length of its common variables; 0 if the entry is empty.
        fileprivate(set) var bytes = 0
        /// Whether it was found again since the hand last passed it.
        fileprivate var isOfUse = false
    }

    private(set) var entries: [Entry] = []
    /// The common variables of entry n, name-value pairs, from n times `byteLimit` on.
    private let kept = UnsafeMutableRawBufferPointer.allocate(
        byteCount: entryLimit * byteLimit,
        alignment: 16
    )
    /// The entry that was found or made last.
    private var newest = 0
    /// The entry that is replaced next, unless it is of use.
    private var hand = 0

    /// About as many lists of channels are asked for at a time. A request for a rare list pays for the search.
    static let entryLimit = 8
    /// The most bytes of common variables of one entry.
    static let byteLimit = 4096

    deinit { unsafe kept.deallocate() }

    /// Lends the request at this place, without particulars.
    func lend(_ place: Int, _ body: (inout CGIRequest) -> Void) {
        defer { entries[place].request.forgetParticulars() }
        body(&entries[place].request)
    }

    /// The place of the request with these common variables, until the next one is kept; nil if there is none.
    ///
    /// - Parameter common: name-value pairs, at least one.
    func find(_ common: UnsafeRawBufferPointer) -> Int? {
        if newest < entries.count, unsafe isAt(newest, common) { return found(newest) }
        for place in entries.indices where unsafe isAt(place, common) { return found(place) }
        return nil
    }

    private func isAt(_ place: Int, _ common: UnsafeRawBufferPointer) -> Bool {
        guard entries[place].bytes == common.count, let bytes = common.baseAddress,
            let kept = unsafe kept.baseAddress
        else { return false }
        return unsafe memcmp(kept + place * Self.byteLimit, bytes, common.count) == 0
    }

    /// Reads its fields in full, now that another request has turned out to have the same.
    private func found(_ place: Int) -> Int {
        newest = place
        if !entries[place].isOfUse {
            entries[place].isOfUse = true
            entries[place].request.parseFields()
        }
        return place
    }

    /// Keeps one that is not there.
    ///
    /// - Parameters:
    ///   - common: name-value pairs, at least one, and at most `byteLimit` bytes.
    ///   - make: sets the common variables of a new request; false if that fails.
    /// - Returns: its place; nil if `make` fails.
    func keep(_ common: UnsafeRawBufferPointer, _ make: (inout CGIRequest) -> Bool) -> Int? {
        let place = room()
        entries[place].request = CGIRequest()
        entries[place].bytes = 0
        guard make(&entries[place].request) else { return nil }
        entries[place].bytes = common.count
        unsafe UnsafeMutableRawBufferPointer(rebasing: kept[(place * Self.byteLimit)...])
            .copyMemory(from: common)
        newest = place
        return place
    }

    /// The place for a new entry: that of the oldest one that was not found again. A request that many clients send
    /// outlasts many that only one client sends.
    private func room() -> Int {
        guard entries.count == Self.entryLimit else {
            entries.append(Entry())
            return entries.count - 1
        }
        while entries[hand].isOfUse {
            entries[hand].isOfUse = false
            hand = (hand + 1) % Self.entryLimit
        }
        defer { hand = (hand + 1) % Self.entryLimit }
        return hand
    }
}
