package import Bus

/// Why a responder could not be made.
package protocol StartError: Error {
    /// Trying again helps nothing until somebody has changed something.
    var needsSomebody: Bool { get }
}

/// A named pipe can't be had.
extension ServingProblem: StartError {
    package var needsSomebody: Bool { true }
}
