internal import Text

/// Messages of two processes while the newer one takes everything over from the older one.
///
/// ```
///   newer                              older
///   hello   (formats it reads)  ──▶
///                               ◀──    welcome (the format it writes), or refused
///   able    (ini, log, rights)  ──▶                                          or unable: why
///                               ◀──    common, batch …, whole    (with descriptors)
///   ready                       ──▶
///                               ◀──    yours                                 or keeps: why
///   mine                        ──▶    ends
/// ```
/// The older one serves until `able`, then pauses, and may resume until it has received `mine`. The newer one acts only
/// after `yours`, or when the older one has ended. The first byte of the messages and the form of hello, welcome,
/// refused, unable, endPolitely and keeps never change; the content of the others has the format's number.
enum HandOverMessage: Equatable {
    case hello(formats: [Int], release: String)
    case welcome(format: Int, release: String, listen: String, connections: Int)
    case refused(String)
    case able
    case unable(String)
    /// The newer one does not understand the format: the older one ends as if it were stopped.
    case endPolitely(String)
    /// With descriptors: a file with the content, and the listening sockets.
    case common
    /// With descriptors: a file with the content, and this many connections.
    case batch(connections: Int)
    case whole(connections: Int)
    case ready
    case yours
    case mine
    case keeps(String)

    /// The format that this release writes, and those that it reads.
    static let format = 1
    static let formats = [1]

    var bytes: [UInt8] {
        var pack = Packer()
        switch self {
        case .hello(let formats, let release):
            pack.add(byte: UInt8(ascii: "h"))
            pack.add(formats)
            pack.add(release)
        case .welcome(let format, let release, let listen, let connections):
            pack.add(byte: UInt8(ascii: "w"))
            pack.add(format)
            pack.add(release)
            pack.add(listen)
            pack.add(connections)
        case .refused(let why): pack.add(UInt8(ascii: "x"), why)
        case .able: pack.add(byte: UInt8(ascii: "a"))
        case .unable(let why): pack.add(UInt8(ascii: "u"), why)
        case .endPolitely(let why): pack.add(UInt8(ascii: "p"), why)
        case .common: pack.add(byte: UInt8(ascii: "c"))
        case .batch(let connections):
            pack.add(byte: UInt8(ascii: "b"))
            pack.add(connections)
        case .whole(let connections):
            pack.add(byte: UInt8(ascii: "e"))
            pack.add(connections)
        case .ready: pack.add(byte: UInt8(ascii: "r"))
        case .yours: pack.add(byte: UInt8(ascii: "y"))
        case .mine: pack.add(byte: UInt8(ascii: "m"))
        case .keeps(let why): pack.add(UInt8(ascii: "k"), why)
        }
        return pack.bytes
    }

    init(_ bytes: [UInt8]) throws(UnpackError) {
        var pack = Unpacker(bytes)
        switch try pack.byte() {
        case UInt8(ascii: "h"): self = .hello(formats: try pack.value(), release: try pack.value())
        case UInt8(ascii: "w"):
            self = .welcome(
                format: try pack.value(),
                release: try pack.value(),
                listen: try pack.value(),
                connections: try pack.value()
            )
        case UInt8(ascii: "x"): self = .refused(try pack.value())
        case UInt8(ascii: "a"): self = .able
        case UInt8(ascii: "u"): self = .unable(try pack.value())
        case UInt8(ascii: "p"): self = .endPolitely(try pack.value())
        case UInt8(ascii: "c"): self = .common
        case UInt8(ascii: "b"): self = .batch(connections: try pack.value())
        case UInt8(ascii: "e"): self = .whole(connections: try pack.value())
        case UInt8(ascii: "r"): self = .ready
        case UInt8(ascii: "y"): self = .yours
        case UInt8(ascii: "m"): self = .mine
        case UInt8(ascii: "k"): self = .keeps(try pack.value())
        case let code: throw UnpackError("the message \(code) is unknown")
        }
    }
}

extension Packer {
    /// A sentence of the other process is written to this one's log, so it is bounded.
    fileprivate mutating func add(_ code: UInt8, _ sentence: String) {
        add(byte: code)
        add(String(sentence.prefix(1000)))
    }
}
