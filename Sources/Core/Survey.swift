internal import Channels
internal import Endpoint

/// A question to all processes of the bus, by the kind of its asker.
enum Survey {
    case metrics(MetricsFormat, Shape)
    case status(Shape)
    /// A command of the bus socket.
    case line(BusCommand)
    /// The log's listing is known; the other processes are asked how many holds they have.
    case channels(ChannelsRequest, ChannelListing)
    case listing(BusListing, ChannelListing)

    var question: SurveyQuestion {
        switch self {
        case .metrics(let format, _): .metrics(format)
        case .status: .status(withHistory: true)
        case .line: .status(withHistory: false)
        case .channels(_, let listing), .listing(_, let listing):
            .holders(
                from: listing.entries.first?.name.text ?? "",
                through: listing.entries.last?.name.text ?? ""
            )
        }
    }
}

/// An answer, in HTTP or as a line of the bus socket.
enum Reply {
    case answer(Answer)
    case line([UInt8])
}

extension Survey {
    /// - Parameter held: the number of holds on a channel in this process.
    func reply(_ result: SurveyResult, held: (ChannelName) -> Int) -> Reply {
        var text: [UInt8] = []
        var others: [ChannelName: Int] = [:]
        switch result {
        case .text(let bytes): text = bytes
        case .holders(let counts): others = counts
        }
        func all(_ channel: ChannelName) -> Int {
            let (sum, isBeyond) = held(channel).addingReportingOverflow(others[channel] ?? 0)
            return isBeyond ? .max : sum
        }
        return switch self {
        case .metrics(let format, let shape): .answer(shape.plain(format.contentType, text))
        case .status(let shape): .answer(shape.status(text))
        case .line(let command): .line(command.status(text))
        case .channels(let request, let listing): .answer(request.answer(listing, held: all))
        case .listing(let request, let listing): .line(request.reply(listing, held: all))
        }
    }
}

extension Work {
    /// The answer to a publisher; nil for entries that are not a publication with an answer.
    func reply(_ outcome: AppendOutcome) -> Reply? {
        switch self {
        case .publish(let request): .answer(request.answer(outcome))
        case .command(let command): .line(command.reply(outcome))
        case .poll, .replay, .message, .channels, .listing, .busMessage, .survey, .presenceEvent,
            .presenceReading, .lines, .nothing:
            nil
        }
    }

    /// The answer to a request for one message.
    func reply(_ outcome: Result<Message?, ReadFailure>) -> Reply? {
        switch (self, outcome) {
        case (.message(let request), .success(let message)): .answer(request.answer(message))
        case (.busMessage(let request), .success(let message)): .line(request.reply(message))
        default: unavailable
        }
    }

    /// The answer to a recipient that has waited in vain; nil for polls, streams and surveys, which end in their own
    /// ways.
    var unavailable: Reply? {
        switch self {
        case .publish(let request): .answer(request.outcomeUnknown())
        case .command(let command): .line(command.outcomeUnknown())
        case .message(let request): .answer(request.unavailable())
        case .busMessage(let request): .line(request.command.unavailable())
        case .channels(let request): .answer(request.unavailable())
        case .listing(let listing): .line(listing.command.unavailable())
        case .poll, .replay, .survey, .presenceEvent, .presenceReading, .lines, .nothing: nil
        }
    }

    /// Whether a publisher waits for it.
    var isPublication: Bool {
        switch self {
        case .publish, .command: true
        default: false
        }
    }
}
