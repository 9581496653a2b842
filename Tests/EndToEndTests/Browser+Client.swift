import Harness

/// A page on which a test uses holdfast.js.
extension Browser.Page {
    /// Subscribes anew; what comes is in `got`, by the data, and in `states` and `gaps`.
    func subscribe(_ channels: String, _ options: String = "{}") throws {
        try evaluate(
            """
            import("/push/-/holdfast.js").then((client) => {
              Object.assign(window, {client, got: [], gaps: [], states: [], info: {}});
              window.subscription = client.subscribe("\(channels)".split(","), {
                message: ({data}) => got.push(data),
                gap: (gap) => gaps.push(gap),
                state: (state, info) => { window.info = info; states.push([state, info.transport]); },
              }, \(options));
            })
            """
        )
        // A cursor, and so everything from here on.
        try waitUntil("there is a cursor, or a refusal") {
            try evaluate("/-/.test(subscription.cursor) || subscription.state == 'refused'") == true
        }
    }

    var state: String? { get throws { try evaluate("subscription.state").string } }

    /// Until exactly these have come, in this order.
    func waitForMessages(_ numbers: ClosedRange<Int>, _ prefix: String) throws {
        let wanted = numbers.map { "\(prefix)\($0)" }.joined(separator: " ")
        var last = ""
        try waitUntil("messages \(wanted); the last were \(last)") {
            last = try evaluate("got.join(' ')").string ?? ""
            return last == wanted
        }
    }
}
