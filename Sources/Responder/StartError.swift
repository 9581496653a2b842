package import Bus

/// Why a responder could not be made.
package protocol StartError: Error {
    /// Another attempt fails, too, until something is changed.
    var isPermanent: Bool { get }
}

/// A named pipe cannot be opened.
extension ServingProblem: StartError {
    package var isPermanent: Bool { true }
}
