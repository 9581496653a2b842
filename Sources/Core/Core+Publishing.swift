package import Endpoint

/// Publications on their way to the log.
extension Core {
    /// Lines of a pipe. `Errand.piped` follows with the pipe's number; at most one at a time for each.
    ///
    /// - Returns: false if the queue is full at the moment.
    package mutating func publish(
        _ publication: Publication,
        ofPipe pipe: Int,
        at moment: Moment
    ) -> Bool {
        fatalError("not written yet")
    }

    /// Another process may read the pipes from now on: what becomes of the publications under way is not told.
    package mutating func forgetPipes() {
        fatalError("not written yet")
    }
}
