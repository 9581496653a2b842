package import Text

// How the parts of incomplete requests are handed over to another process.

extension RequestAssembler {
    package func pack(into pack: inout Packer) {
        pack.add(position)
        pack.add(recordOffset)
        pack.add(UInt32(lastFinished?.value ?? 0))
        pack.add(bytes: unsafe withUnsafeBytes(of: header) { unsafe Array($0.prefix(headerBytes)) })
        pack.add(number: UInt64(assemblies.count))
        for assembly in assemblies { pack.add(assembly) }
        pack.add(record != nil)
        guard let record else { return }
        pack.add(bytes: record.header.bytes)
        pack.add(record.contentLeft)
        pack.add(record.paddingLeft)
        pack.add(bytes: gathered)
        // That of the others follows from the header.
        pack.add(record.destination.isIgnored)
    }

    /// - Parameter limits: of this process; they apply to what comes from now on.
    package init(limits: FramingLimits, from pack: inout Unpacker) throws(UnpackError) {
        self.init(limits: limits)
        position = try pack.value()
        recordOffset = try pack.value()
        lastFinished = RequestID(UInt16(truncatingIfNeeded: try UInt32(from: &pack)))
        let begun = try pack.content()
        guard begun.count < RecordHeader.byteCount else {
            throw UnpackError("a header is too long")
        }
        headerBytes = begun.count
        unsafe withUnsafeMutableBytes(of: &header) { unsafe $0.copyBytes(from: begun) }
        assemblies = try pack.value()
        guard try pack.value(Bool.self) else { return }
        let bytes = try pack.content()
        guard bytes.count == RecordHeader.byteCount, begun.isEmpty else {
            throw UnpackError("a record's header is invalid")
        }
        let header = RecordHeader(bytes)
        let (contentLeft, paddingLeft): (Int, Int) = (try pack.value(), try pack.value())
        gathered = try pack.content()
        let isIgnored: Bool = try pack.value()
        var found = Destination.ignored
        if !isIgnored {
            do throws(FramingViolation) {
                found = try destination(of: header)
            } catch {
                throw UnpackError("a record is where it must not be")
            }
        }
        guard (0...header.contentLength).contains(contentLeft),
            (0...header.paddingLength).contains(paddingLeft), contentLeft + paddingLeft > 0,
            gathered.count <= Record.maximumContentLength
        else { throw UnpackError("a record's length is invalid") }
        record = OpenRecord(
            header: header,
            destination: found,
            contentLeft: contentLeft,
            paddingLeft: paddingLeft
        )
    }
}

extension Assembly: Packable {
    func pack(into pack: inout Packer) {
        pack.add(UInt32(id.value))
        pack.add(keepConnection)
        pack.add(begunAt)
        pack.add(stage == .body)
        for flag in [bodyDropped, isAnswered, paramsOversized] { pack.add(flag) }
        for number in [paramsBytes, bodyBytes, lastHeader, bodyStart] { pack.add(number) }
        pack.add(bytes: records)
        pack.add(pairs)
    }

    init(from pack: inout Unpacker) throws(UnpackError) {
        guard let id = RequestID(UInt16(truncatingIfNeeded: try UInt32(from: &pack))) else {
            throw UnpackError("a request has no id")
        }
        self.init(id: id, keepConnection: try pack.value(), begunAt: try pack.value())
        stage = try pack.value(Bool.self) ? .body : .params
        bodyDropped = try pack.value()
        isAnswered = try pack.value()
        paramsOversized = try pack.value()
        paramsBytes = try pack.value()
        bodyBytes = try pack.value()
        lastHeader = try pack.value()
        bodyStart = try pack.value()
        records = try pack.content()
        pairs = try pack.value()
        let hasRecords = !isAnswered && !paramsOversized && pairs.isReadable
        guard
            !hasRecords
                || (0...records.count - RecordHeader.byteCount).contains(lastHeader)
                    && (0...records.count).contains(bodyStart)
        else { throw UnpackError("the positions in a request are wrong") }
    }
}

extension PairCheck: Packable {
    func pack(into pack: inout Packer) {
        let code: UInt8 =
            switch place {
            case .nameLength: 0
            case .valueLength: 1
            case .name: 2
            case .value: 3
            }
        pack.add(byte: code)
        for number in [lengthBytes, length, nameLeft, valueLeft] { pack.add(number) }
        pack.add(isReadable)
    }

    init(from pack: inout Unpacker) throws(UnpackError) {
        self.init()
        place =
            switch try pack.byte() {
            case 0: .nameLength
            case 1: .valueLength
            case 2: .name
            case 3: .value
            case let code: throw UnpackError("the place \(code) in a pair is unknown")
            }
        lengthBytes = try pack.value()
        length = try pack.value()
        nameLeft = try pack.value()
        valueLeft = try pack.value()
        isReadable = try pack.value()
        guard min(lengthBytes, length, nameLeft, valueLeft) >= 0, lengthBytes < 4 else {
            throw UnpackError("a length in a pair is invalid")
        }
    }
}
