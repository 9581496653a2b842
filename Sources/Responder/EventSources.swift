internal import Channels
internal import Configuration
internal import Reactor
internal import System

/// What the loop waits for besides peers: messages of other threads, and signals.
struct EventSources {
    let epoll: Epoll
    let mailbox: Mailbox<ThreadEvent>
    let signals: SignalDescriptor
    /// Reads the ini file again at SIGHUP, or logs why it cannot and returns nil.
    let reload: () -> Settings?

    init(signals: SignalDescriptor, reload: @escaping () -> Settings?) throws(SystemError) {
        epoll = try Epoll()
        mailbox = try Mailbox()
        self.signals = signals
        self.reload = reload
        try epoll.add(mailbox.descriptor, [.read, .edge])
        try epoll.add(signals.number, .read)
    }
}

/// A message from another thread.
enum ThreadEvent: Sendable {
    /// With the time of the message, for the latency histogram.
    case log(Channels.LogEvent, nanoseconds: Int64)
    case serving(attempt: Int, Tenure.Outcome)
}
