internal import Channels
internal import Text

/// The paths below `-/`: figures, presence, channels, single messages, pages.
extension HTTPInterface {
    /// - Parameter name: what follows `-/`.
    func service(
        _ name: String,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        _ random: UInt32
    ) throws(Problem) -> Intent {
        let intent: Intent
        let query = try Self.query(of: request)
        switch name {
        case "live": intent = .live(shape)
        case "ready": intent = .ready(shape)
        case "metrics": intent = .metrics(MetricsFormat(request.accept), shape)
        // The page is public: it requests what it shows itself.
        case "status"
        where asksForPage(request.accept) && query.stream == nil:
            intent = .page(PageRequest(name: name, request, shape))
        case "" where asksForPage(request.accept):
            intent = .page(PageRequest(name: name, request, shape))
        case "status":
            if let wish = try StreamWish(query.stream, request.acceptance) {
                intent = .statusStream(try statusStream(wish, request, shape))
            } else {
                intent = .status(shape)
            }
        case "leave": return try leave(request, shape)
        // These are never pages.
        case "messages", "presence", "rights": throw .notFound
        case _ where name.hasPrefix("presence/"):
            intent = .presence(
                try presence(String(name.dropFirst("presence/".utf8.count)), query, request, shape)
            )
        case _ where name.hasPrefix("rights/"):
            intent = .answer(
                try rights(String(name.dropFirst("rights/".utf8.count)), request, shape)
            )
        case "channels":
            intent = .channels(
                ChannelsRequest(
                    selection: .after(
                        try query.after.map { text throws(Problem) in
                            try ChannelName(requested: text)
                        },
                        limit: try Self.listLimit(query.limit)
                    ),
                    shape: shape
                )
            )
        case _ where name.hasPrefix("channels/"):
            let channel = try ChannelName(requested: String(name.dropFirst("channels/".utf8.count)))
            intent = .channels(ChannelsRequest(selection: .only(channel), shape: shape))
        case _ where Self.isPageName(name):
            intent = .page(PageRequest(name: name, request, shape))
        default:
            let directory = "messages/"
            guard name.hasPrefix(directory) else { throw .notFound }
            guard let id = Cursor(name.dropFirst(directory.utf8.count)) else {
                throw .messageNotFound
            }
            let format = try Self.form(query.format) ?? .json
            intent = .message(
                MessageRequest(
                    id: id,
                    form: format,
                    rights: reader(request, try shown(by: request)),
                    shape: shape
                )
            )
        }
        switch request.method ?? "GET" {
        case "GET", "HEAD": break
        case "OPTIONS": return options("GET, HEAD, OPTIONS", request, shape)
        default: throw .methodNotAllowed("GET, HEAD, OPTIONS")
        }
        if intent.isForOperators { try requireOperator(request) }
        return intent
    }

    private func requireOperator(_ request: borrowing CGIRequest) throws(Problem) {
        guard request.isOperator else {
            throw .operatorOnly(
                "This is for the operator: it requires HOLDFAST_OPERATOR from the web server."
            )
        }
        guard !crossOrigin.opensToAnyone(request) else {
            throw .operatorOnly(
                "This is for the operator, and not for pages of other origins unless they are listed under [cors] in "
                    + "the ini file."
            )
        }
    }

    /// Whether it may be the name of a page; which pages exist is not known here.
    private static func isPageName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    private static func listLimit(_ limit: String?) throws(Problem) -> Int {
        guard let limit else { return 1000 }
        guard let number = limit.wholeNumber, number > 0 else {
            throw .badRequest(
                "invalid_limit",
                "The parameter 'limit' must be a whole number from 1 to 10000."
            )
        }
        return min(number, 10_000)
    }
}

extension Problem {
    fileprivate static func operatorOnly(_ detail: String) -> Problem {
        Problem(.forbidden, "operator_only", detail)
    }
}
