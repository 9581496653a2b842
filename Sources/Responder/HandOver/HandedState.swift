internal import Core
internal import FastCGI
internal import Text

/// What the shell hands over in addition to connections.
struct HandedCommonState: Packable {
    /// The socket for web servers; nil if this process has none.
    var web: Listener.Handed?
    /// Whether this process serves the bus: then the lock is handed over, and the socket if there is one.
    var servesBus = false
    var bus: Listener.Handed?
    /// A bus socket that a service manager passed, and that is not in use.
    var restingBus: Listener.Handed?
    /// The counts, by the names of the samples.
    var figures: [String: Int64] = [:]
    var history: HandedFigureHistory
    var core: HandedCommon

    func pack(into pack: inout Packer) {
        pack.add(web)
        pack.add(servesBus)
        pack.add(bus)
        pack.add(restingBus)
        pack.add(number: UInt64(figures.count))
        for (name, value) in figures.sorted(by: { $0.key < $1.key }) {
            pack.add(name)
            pack.add(value)
        }
        pack.add(history)
        pack.add(core)
    }
}

extension HandedCommonState {
    init(from pack: inout Unpacker) throws(UnpackError) {
        web = try pack.value()
        servesBus = try pack.value()
        bus = try pack.value()
        restingBus = try pack.value()
        figures = [:]
        for _ in 0..<(try pack.count()) {
            let name: String = try pack.value()
            figures[name] = try pack.value(Int64.self)
        }
        history = try pack.value()
        core = try pack.value()
    }

    /// The number of descriptors that are handed over, in addition to the file with this content.
    var descriptorCount: Int {
        func count(_ listener: Listener.Handed?) -> Int {
            listener.map { $0.hasLock ? 2 : 1 } ?? 0
        }
        return count(web) + (servesBus ? 1 : 0) + count(bus) + count(restingBus)
    }
}

/// What the shell hands over of a connection.
struct HandedShellConnection {
    var table: ConnectionTable.Handed
    var output: Output.Handed?
}

/// Some connections, as they are handed over together: pieces that several peers have not taken are contained once.
struct HandedBatch {
    var shells: [HandedShellConnection] = []
    var cores: [HandedConnection] = []

    /// - Parameter core: writes what the core has of these connections.
    static func bytes(_ shells: [HandedShellConnection], core: (inout Packer) -> Void) -> [UInt8] {
        var pieces: [[UInt8]] = []
        var places: [UInt: Int] = [:]
        func place(of piece: [UInt8]) -> Int {
            let address = unsafe piece.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
            if let known = places[address] { return known }
            places[address] = pieces.count
            pieces.append(piece)
            return pieces.count - 1
        }
        var content = Packer()
        content.add(number: UInt64(shells.count))
        for shell in shells {
            content.add(shell.table.hasAsked)
            content.add(shell.table.isPassingOver)
            content.add(shell.table.input != nil)
            if let input = shell.table.input {
                content.add(input.since)
                content.add(input.assembler != nil)
                input.assembler?.pack(into: &content)
                content.add(input.command?.bytes)
                content.add(input.command?.line)
            }
            content.add(shell.output != nil)
            guard let output = shell.output else { continue }
            content.add(output.pieces.map { place(of: $0) })
            content.add(output.sent)
            content.add(output.progressedAt)
        }
        var pack = Packer()
        pack.add(number: UInt64(pieces.count))
        for piece in pieces { pack.add(bytes: piece) }
        pack.add(bytes: content.bytes)
        core(&pack)
        return pack.bytes
    }

    init(_ bytes: [UInt8], limits: FramingLimits) throws(UnpackError) {
        var pack = Unpacker(bytes)
        var pieces: [[UInt8]] = []
        for _ in 0..<(try pack.count()) { pieces.append(try pack.content()) }
        var content = Unpacker(try pack.content())
        for _ in 0..<(try content.count()) {
            shells.append(try Self.shell(&content, pieces, limits))
        }
        cores = try Core.connections(from: &pack)
        guard cores.count == shells.count, pack.isAtEnd, content.isAtEnd else {
            throw UnpackError("a batch of connections contradicts itself")
        }
    }

    private static func shell(
        _ content: inout Unpacker,
        _ pieces: [[UInt8]],
        _ limits: FramingLimits
    ) throws(UnpackError) -> HandedShellConnection {
        var table = ConnectionTable.Handed(
            hasAsked: try content.value(),
            isPassingOver: try content.value(),
            input: nil
        )
        if try content.value(Bool.self) {
            let since: Int64 = try content.value()
            let assembler =
                try content.value(Bool.self)
                ? try RequestAssembler(limits: limits, from: &content) : nil
            let (bytes, line): (Int?, Int?) = (try content.value(), try content.value())
            table.input = UnfinishedInput.Handed(
                since: since,
                assembler: assembler,
                command: bytes.flatMap { bytes in line.map { (bytes, $0) } }
            )
        }
        guard try content.value(Bool.self) else { return HandedShellConnection(table: table) }
        let places: [Int] = try content.value()
        let output = Output.Handed(
            pieces: places.compactMap { pieces.indices.contains($0) ? pieces[$0] : nil },
            sent: try content.value(),
            progressedAt: try content.value()
        )
        guard output.pieces.count == places.count, let first = output.pieces.first,
            (0...first.count).contains(output.sent)
        else { throw UnpackError("unsent bytes contradict themselves") }
        return HandedShellConnection(table: table, output: output)
    }
}
