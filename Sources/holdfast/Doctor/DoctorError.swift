/// Why an examination ended: a sentence on the site, curl or the responder.
struct DoctorError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
