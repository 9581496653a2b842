internal import Bus
internal import Configuration
internal import Endpoint

/// A named pipe and how far its lines have come. Reactor thread only.
///
/// Lines are looked at, appended, and when the log has answered taken out, one portion after the other. What the log can't
/// take stays in the pipe, whose writers wait when it is full: nothing is lost.
final class PipeReader {
    enum State {
        case idle
        /// A portion is on its way into the log.
        case appending(byteCount: Int, count: Int, beginning: String)
    }

    let settings: PipeSettings
    var pipe: NamedPipe
    var interface: PipeInterface
    var state = State.idle
    /// What comes up to the next line end belongs to a line that is too long.
    var isSkipping = false
    /// So many lines are appended one at a time, to find the one that the log refuses.
    var singleLines = 0
    /// Monotonic milliseconds when it is looked at without being told; nil: it is told.
    var lookAt: Int64?
    /// What was there when a line was found incomplete.
    var incompleteBytes = 0
    /// Nothing can be done until a writer writes more.
    var isDry = true
    /// That the log takes nothing was said.
    var saidWaiting = false
    /// Another pipe stands at its place, and is used once no line is left in this one.
    var isReplaced = false
    /// Why it can't be opened anew, as it was said last.
    var trouble = ""
    /// Lines refused since the last note in the log of one, the newest of them, and when the next note may come.
    var refused: (count: Int, sentence: String, beginning: String) = (0, "", "")
    var refusalNoteAt: Int64 = 0

    init(_ settings: PipeSettings, _ limits: LimitSettings) throws(ServingProblem) {
        self.settings = settings
        // Room for some lines of the largest size.
        pipe = try NamedPipe(
            settings,
            room: min(1 << 20, max(65_536, (limits.messageBytes + 1024) * 4))
        )
        interface = PipeInterface(settings, limits: limits, capacity: pipe.capacity)
    }

    /// Bounds that have changed; the pipe's own size stays.
    func apply(_ limits: LimitSettings) {
        interface = PipeInterface(settings, limits: limits, capacity: pipe.capacity)
    }

    var isAppending: Bool {
        if case .appending = state { true } else { false }
    }
}
