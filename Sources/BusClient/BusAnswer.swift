internal import FoundationEssentials
package import Text

/// A line from the bus socket, as a JSON object.
package struct BusAnswer {
    /// As it came, without the line end.
    package let bytes: [UInt8]
    package let value: JSONValue

    package init(_ bytes: [UInt8]) throws(BusClientError) {
        guard let value = JSONValue(bytes), value.members != nil else {
            throw .broken("the service answered what is no JSON object")
        }
        self.bytes = bytes
        self.value = value
    }

    package var kind: String { self["kind"]?.string ?? "" }

    package subscript(name: String) -> JSONValue? { value[name] }

    /// What the command was refused with.
    package var refusal: BusClientError? {
        guard kind == "error" else { return nil }
        return .refused(
            code: self["code"]?.string ?? "error",
            detail: self["detail"]?.string ?? "refused"
        )
    }

    /// Whether the same command may be taken later, and was perhaps taken already.
    package var isPassing: Bool {
        guard kind == "error", let code = self["code"]?.string else { return false }
        return [
            "outcome_unknown", "log_unavailable", "log_busy", "busy", "log_full",
            "too_many_clients",
        ].contains(code)
    }

    /// After how long this publisher's quota allows what it has refused; nil where it has not, or never will.
    package var quotaSeconds: Int? {
        self["code"]?.string == "quota_exceeded" ? self["retry_after"]?.integer : nil
    }

    /// The bytes that a message is, without its envelope: text and bytes as they were published, any other value as JSON.
    package var content: [UInt8] {
        guard let data = self["data"] else { return [] }
        // As it stands there, where it is no string: numbers are not read and written again.
        guard let text = data.string else { return data.bytes }
        guard self["encoding"]?.string == "base64" else { return Array(text.utf8) }
        return Data(base64Encoded: text).map(Array.init) ?? []
    }
}
