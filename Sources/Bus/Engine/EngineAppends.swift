import Channels
import Engine

/// A group on its way to the engine: makes parts of appends, and of the receipt the outcome of each append.
struct EngineAppends {
    private(set) var parts: [EnginePart] = []
    /// For each append its part, and how many offsets of that part come before its first message.
    private var places: [(append: Append, part: Int, before: Int)] = []

    /// The appends, in their order.
    var all: [Append] { places.map(\.append) }

    init(_ appends: [Append]) {
        for append in appends {
            if let key = append.idempotency {
                var part = EnginePart()
                part.scope = EngineKey.hash("\(key.scope(append))")
                part.digest = AppendDigest.of(append)
                parts.append(part)
            } else if parts.last.map({ $0.scope != nil }) ?? true {
                parts.append(EnginePart())
            }
            let at = parts.count - 1
            for name in append.dropping { GroupBody.append(dropping: name, to: &parts[at].body) }
            for draft in append.drafts { GroupBody.append(draft, to: &parts[at].body) }
            if parts[at].scope != nil { parts[at].skipped = append.dropping.count }
            places.append((append, at, parts[at].count + append.dropping.count))
            parts[at].count += append.dropping.count + append.drafts.count
        }
    }

    /// The outcome of each append, in their order; nil: its key was used for another request.
    ///
    /// `through` is the newest offset of what was committed.
    func outcomes(_ receipt: EngineReceipt) -> [(
        append: Append, committed: (first: Int64, through: Int64, isRepeated: Bool)?
    )] {
        places.map { place in
            guard place.part < receipt.firsts.count else { return (place.append, nil) }
            let part = receipt.firsts[place.part]
            let count = Int64(place.append.drafts.count)
            guard part != 0 else { return (place.append, nil) }
            if part < 0 { return (place.append, (-part, -part + count - 1, true)) }
            // A part's first offset is that of its first message; a run of appends skips none.
            let skipped = Int64(parts[place.part].skipped)
            let first = part - skipped + Int64(place.before)
            return (place.append, (first, first + count - 1, false))
        }
    }
}
