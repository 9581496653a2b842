internal import Endpoint
internal import Foundation

/// A line from the bus socket, as a JSON object.
package struct BusAnswer {
    package let bytes: [UInt8]
    private let members: [String: Any]

    package init(_ bytes: [UInt8]) throws(BusClientError) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(bytes)),
            let members = object as? [String: Any]
        else { throw .broken("the service answered what is no JSON object") }
        self.bytes = bytes
        self.members = members
    }

    package var kind: String { self["kind"] ?? "" }

    package subscript<Value>(name: String) -> Value? { members[name] as? Value }

    /// What the command was refused with.
    package var refusal: BusClientError? {
        guard kind == "error" else { return nil }
        return .refused(code: self["code"] ?? "error", detail: self["detail"] ?? "refused")
    }

    /// Whether the same command may be taken later, and was perhaps taken already.
    package var isPassing: Bool {
        guard kind == "error", let code: String = self["code"] else { return false }
        return ["outcome_unknown", "log_unavailable", "busy", "log_full", "too_many_clients"]
            .contains(code)
    }

    /// After how long this publisher's quota allows what it has refused; nil where it has not, or never will.
    package var quotaSeconds: Int? { self["code"] == "quota_exceeded" ? self["retry_after"] : nil }

    /// The bytes that a message is, without its envelope: text and bytes as they were published, any other value as JSON.
    package var content: [UInt8] {
        if self["encoding"] == "base64", let text: String = self["data"] {
            return Data(base64Encoded: text).map { [UInt8]($0) } ?? []
        }
        if let text: String = self["data"] { return Array(text.utf8) }
        // As it stands there: numbers are not read and written again.
        let data = JSONMembers.of(bytes)?.first { $0.name == "data" }
        return data.map { Array(bytes[$0.value]) } ?? []
    }
}
