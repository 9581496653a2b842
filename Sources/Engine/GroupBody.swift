package import Channels

/// The bytes of a group in the engine's log: its records, one after the other.
///
/// ```
/// message: 1 · channel · kind · content type · type · topic · time to live · body     drop: 2 · channel
/// ```
/// A record begins with one byte; kind and time to live (seconds; -1: none) have four, big-endian; a text or body is its
/// length in four bytes (-1: absent) and its bytes. SQL writes the same (`put` in engine.sql). Each record takes one
/// offset.
package enum GroupBody {
    package enum Record: Equatable, Sendable {
        case message(Draft)
        /// All messages of the channel are removed.
        case drop(ChannelName)
        /// A record that this release cannot read; its offset stays empty.
        case unknown
    }

    package static func append(_ draft: Draft, to bytes: inout [UInt8]) {
        bytes.append(1)
        append(draft.channel.text.utf8, to: &bytes)
        bytes.append(bigEndian: Int32(draft.kind.rawValue))
        append(draft.contentType.utf8, to: &bytes)
        append(draft.type?.utf8, to: &bytes)
        append(draft.topic?.utf8, to: &bytes)
        bytes.append(bigEndian: Int32(clamping: draft.timeToLiveSeconds ?? -1))
        append(draft.body, to: &bytes)
    }

    package static func append(dropping channel: ChannelName, to bytes: inout [UInt8]) {
        bytes.append(2)
        append(channel.text.utf8, to: &bytes)
    }

    private static func append(_ value: (some Collection<UInt8>)?, to bytes: inout [UInt8]) {
        bytes.append(bigEndian: Int32(value?.count ?? -1))
        if let value { bytes.append(contentsOf: value) }
    }

    /// Exactly `count` records, whatever the bytes are: a group that cannot be read must not stop those behind it.
    package static func records(in body: [UInt8], count: Int) -> [Record] {
        var reader = BinaryReader(body[...])
        var records: [Record] = []
        records.reserveCapacity(count)
        while records.count < count, let record = next(&reader) { records.append(record) }
        while records.count < count { records.append(.unknown) }
        return records
    }

    /// Nil: the records after it cannot be told apart.
    private static func next(_ reader: inout BinaryReader) -> Record? {
        switch reader.number(UInt8.self) {
        case 1:
            guard let channel = value(&reader), let kind = reader.number(Int32.self),
                let contentType = value(&reader), let type = value(&reader),
                let topic = value(&reader), let seconds = reader.number(Int32.self),
                let body = value(&reader)
            else { return nil }
            guard let name = name(channel), let kind = BodyKind(rawValue: UInt8(clamping: kind)),
                let contentType = contentType.map(text), let body
            else { return .unknown }
            return .message(
                Draft(
                    channel: name,
                    kind: kind,
                    contentType: contentType,
                    body: Array(body),
                    type: type.map(text),
                    timeToLiveSeconds: seconds < 0 ? nil : Int(seconds),
                    topic: topic.map(text)
                )
            )
        case 2:
            guard let channel = value(&reader) else { return nil }
            return name(channel).map { .drop($0) } ?? .unknown
        default: return nil
        }
    }

    /// The outer optional is nil if the bytes end too early.
    private static func value(_ reader: inout BinaryReader) -> ArraySlice<UInt8>?? {
        guard let length = reader.number(Int32.self) else { return nil }
        if length < 0 { return .some(nil) }
        guard let bytes = reader.take(Int(length)) else { return nil }
        return bytes
    }

    private static func name(_ bytes: ArraySlice<UInt8>?) -> ChannelName? {
        bytes.flatMap { try? ChannelName(text($0)) }
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
