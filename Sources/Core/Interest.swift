internal import Channels
internal import Endpoint

/// What a held request waits for. Equal interests get the same bytes, which are made once.
enum Interest: Hashable {
    /// An answer, which ends it.
    case answer(Subscription)
    /// Messages for as long as it lives.
    case stream(StreamSubscription)

    var channels: [ChannelName] {
        switch self {
        case .answer(let subscription): subscription.channels
        case .stream(let stream): stream.channels
        }
    }
}
