internal import Text

/// An object whose members, at every depth, have distinct names: of two with one name, another reader might take the
/// other (RFC 7515 §4, RFC 7519 §4).
struct JSONObject {
    private let members: [(name: String, value: JSONValue)]

    /// Deep enough for claims; a limit, because each level is searched again.
    private static let depthLimit = 8

    /// - Parameter part: of a token, for the refusal.
    init(_ text: [UInt8], _ part: String) throws(Refusal) {
        guard let compact = try? JSONText.compacted(text, depthLimit: Self.depthLimit),
            let value = JSONValue(compact), let members = value.members
        else {
            throw .malformedToken("has a \(part) that is not a JSON object")
        }
        guard Self.isUnambiguous(value) else {
            throw .malformedToken("has a \(part) in which a name occurs twice")
        }
        self.members = members
    }

    subscript(name: String) -> JSONValue? { members.first { $0.name == name }?.value }

    private static func isUnambiguous(_ value: JSONValue) -> Bool {
        if let members = value.members {
            var names: Set<String> = []
            return members.allSatisfy { names.insert($0.name).inserted && isUnambiguous($0.value) }
        }
        return value.elements?.allSatisfy(isUnambiguous) ?? true
    }
}
