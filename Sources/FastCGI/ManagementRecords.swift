/// Answers to management records (FastCGI 1.0 §4), which have id 0 and never belong to a request.
enum ManagementRecords {
    /// The reply to GET_VALUES with this content, or nil if its lengths do not add up.
    ///
    /// Unknown names are left out, and each name is answered once however often it is asked for.
    static func values(
        askedBy content: UnsafeRawBufferPointer,
        limits: FramingLimits
    ) -> [UInt8]? {
        let known: [(name: StaticString, value: Int)] = [
            ("FCGI_MAX_CONNS", limits.maxConnections),
            ("FCGI_MAX_REQS", limits.maxRequests),
            ("FCGI_MPXS_CONNS", 1),
        ]
        var answered = [false, false, false]
        var pairs: [UInt8] = []
        let whole = unsafe NameValuePairs.forEach(in: content) { name, _ in
            for index in known.indices where !answered[index] {
                let own = unsafe UnsafeRawBufferPointer(
                    start: known[index].name.utf8Start,
                    count: known[index].name.utf8CodeUnitCount
                )
                guard unsafe name.elementsEqual(own) else { continue }
                answered[index] = true
                NameValuePairs.append(
                    unsafe Array(own),
                    Array(String(known[index].value).utf8),
                    to: &pairs
                )
            }
        }
        return whole ? Record.record(Record.getValuesResult, id: 0, pairs) : nil
    }
}
