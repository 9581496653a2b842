package import Text

/// A line from the bus socket, as a JSON object.
package struct BusAnswer {
    /// The line as it was received, without its end.
    package let bytes: [UInt8]
    package let value: JSONValue

    package init(_ bytes: [UInt8]) throws(BusClientError) {
        guard let value = JSONValue(bytes), value.members != nil else {
            throw .broken("the answer of the service is not a JSON object")
        }
        self.bytes = bytes
        self.value = value
    }

    package var kind: String { self["kind"]?.string ?? "" }

    /// The object as over HTTP, where the kind of an answer needs no telling.
    package var withoutKind: [UInt8] { JSONMembers.without("kind", value.bytes) }

    package subscript(name: String) -> JSONValue? { value[name] }

    /// The refusal, if the command was refused.
    package var refusal: BusClientError? {
        guard kind == "error" else { return nil }
        let code = self["code"]?.string ?? "error"
        let refusal = BusClientError.refused(
            code: code,
            detail: self["detail"]?.string ?? "refused"
        )
        return code == "not_the_bus_socket" ? .absent("\(refusal)") : refusal
    }

    /// Whether the same command may succeed later; it may also have been carried out already.
    package var isTransient: Bool {
        guard kind == "error", let code = self["code"]?.string else { return false }
        return [
            "outcome_unknown", "log_unavailable", "log_busy", "busy", "log_full",
            "too_many_clients",
        ].contains(code)
    }

    /// The seconds after which this publisher's quota allows what it refused; nil if it refused nothing, or will never
    /// allow it.
    package var quotaSeconds: Int? {
        self["code"]?.string == "quota_exceeded" ? self["retry_after"]?.integer : nil
    }

    /// The bytes of a message without its envelope: text and bytes as they were published, any other value as JSON.
    package var content: [UInt8] {
        guard let data = self["data"] else { return [] }
        // Any other value is copied as it is: numbers are not parsed and printed again.
        guard let text = data.string else { return data.bytes }
        guard self["encoding"]?.string == "base64" else { return Array(text.utf8) }
        return [UInt8](base64: text) ?? []
    }
}
