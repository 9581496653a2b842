internal import Endpoint

/// A client of the bus socket: who it is, what it has sent, and what it is owed. Reactor thread only.
///
/// Its connection is in the table of connections like any other, and is read from, written to and closed there. Answers
/// go out in the order of the commands, although the log may tell their outcomes in another: each command has a
/// place in a queue, which is sent as far as it is filled from the front.
final class BusPeer {
    let identity: LocalPeer
    var reader = BusReader()
    /// Answers from the first that has not gone out on; nil while it is not known.
    private var answers: [[UInt8]?] = []
    private var sent = 0
    /// Waits until everything before it is answered, because what follows it is not in the order of commands.
    var deferred: BusRequest?
    /// Nothing more is read: the next answer is the last.
    var isEnding = false
    /// Something has come that was not looked at to its end: commands may stand there complete.
    var hasUnlooked = false
    /// Its sending side is closed: what has come is all there is.
    var hasEnded = false
    /// Whether it has, or is about to have, a subscription.
    var isSubscribed = false
    /// Between the command and the `hello` of its subscription, commands wait.
    var isGreeting = false
    /// Nothing was read although there was something.
    var isPaused = false

    init(_ identity: LocalPeer) { self.identity = identity }

    /// Commands that may wait for their outcome at a time; more are not read.
    static let outstandingLimit = 256

    var outstanding: Int { answers.count }

    var mayGoOn: Bool {
        !isEnding && !isGreeting && deferred == nil && outstanding < Self.outstandingLimit
    }

    /// Whether it is owed nothing.
    var isIdle: Bool {
        answers.isEmpty && deferred == nil && !isGreeting && (isEnding || !hasUnlooked)
    }

    /// A place for the answer to the next command.
    func place() -> Int {
        answers.append(nil)
        return sent + answers.count - 1
    }

    func fill(_ place: Int, _ answer: [UInt8]) { answers[place - sent] = answer }

    /// All answers that are next in the order, taken out.
    func takeFilled() -> [UInt8] {
        var bytes: [UInt8] = []
        var count = 0
        while count < answers.count, let answer = answers[count] {
            bytes += answer
            count += 1
        }
        answers.removeFirst(count)
        sent += count
        return bytes
    }
}
