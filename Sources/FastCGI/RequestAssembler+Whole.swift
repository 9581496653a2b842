extension RequestAssembler {
    /// The request that begins here, if it is complete, in one piece, valid and within the limits.
    ///
    /// Nil is no verdict: `step` then takes the same bytes and decides. The headers are examined first, so that an
    /// incomplete request is not read twice.
    ///
    /// Padding of empty content, after BEGIN_REQUEST or the end of PARAMS, is legal but sent by no web server. Such a
    /// request goes through `step`, too, which stores it without padding: the codec only gets the plain form.
    func wholeRequest(_ rest: UnsafeRawBufferPointer) -> FramedRequest? {
        guard rest.count >= 4 * RecordHeader.byteCount else { return nil }
        let begin = unsafe RecordHeader(rest, at: 0)
        guard begin.version == 1, begin.type == Record.beginRequest, begin.contentLength == 8,
            begin.paddingLength == 0,
            unsafe rest[8] == 0, unsafe rest[9] == UInt8(Record.responderRole),
            let id = RequestID(begin.id), assemblies.count < limits.openRequests,
            !assemblies.contains(where: { $0.id == id }),
            let extent = unsafe extent(of: rest, after: begin),
            unsafe pairsAreGood(rest, from: begin.recordLength)
        else { return nil }
        return unsafe FramedRequest(
            id: id,
            keepConnection: rest[10] & Record.keepConnectionFlag != 0,
            bodyDropped: false,
            bodyBytes: extent.bodyBytes,
            records: UnsafeRawBufferPointer(rebasing: rest[..<extent.byteCount])
        )
    }

    private func extent(
        of rest: UnsafeRawBufferPointer,
        after begin: RecordHeader
    ) -> (byteCount: Int, bodyBytes: Int)? {
        var at = begin.recordLength
        var paramsBytes = 0
        var bodyBytes = 0
        var paramsEnded = false
        while rest.count - at >= RecordHeader.byteCount {
            let header = unsafe RecordHeader(rest, at: at)
            guard header.version == 1, header.id == begin.id,
                header.type == (paramsEnded ? Record.stdin : Record.params),
                header.recordLength <= rest.count - at
            else { return nil }
            at += header.recordLength
            if paramsEnded {
                bodyBytes += header.contentLength
                guard bodyBytes <= limits.bodyBytes else { return nil }
                if header.contentLength == 0 { return (at, bodyBytes) }
            } else {
                paramsBytes += header.contentLength
                guard paramsBytes <= limits.paramsBytes else { return nil }
                paramsEnded = header.contentLength == 0
                guard !paramsEnded || header.paddingLength == 0 else { return nil }
            }
        }
        return nil
    }

    /// Whether the pairs of the PARAMS records from here to the empty one add up and can be passed on.
    private func pairsAreGood(_ rest: UnsafeRawBufferPointer, from start: Int) -> Bool {
        var pairs = PairCheck()
        var at = start
        while true {
            let header = unsafe RecordHeader(rest, at: at)
            guard header.contentLength > 0 else { return pairs.isWhole && pairs.isReadable }
            let content = at + RecordHeader.byteCount
            unsafe pairs.take(
                UnsafeRawBufferPointer(rebasing: rest[content..<content + header.contentLength])
            )
            at += header.recordLength
        }
    }
}
