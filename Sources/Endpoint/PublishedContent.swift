internal import Channels

/// The body of a publish request as the log keeps it.
struct PublishedContent {
    let kind: BodyKind
    let contentType: String
    let body: [UInt8]

    init(_ body: [UInt8], contentType: String?, contentEncoding: String?) throws(Problem) {
        if let contentEncoding, !contentEncoding.equalsIgnoringCase("identity") {
            throw .unsupported("Send the body as it is, without Content-Encoding.")
        }
        guard let contentType else {
            let isText = String(validating: body, as: UTF8.self) != nil
            self.init(
                isText ? .text : .bytes,
                isText ? "text/plain; charset=utf-8" : "application/octet-stream",
                body
            )
            return
        }
        guard let type = MediaType(contentType) else {
            throw .unsupported(
                "The field Content-Type must be type/subtype, with parameters as in ';charset=utf-8' where "
                    + "needed: at most 255 visible ASCII characters, and only one type."
            )
        }
        switch type.essence {
        case "application/json":
            self.init(.json, "application/json", try JSONText.compacted(body))
        case "application/x-www-form-urlencoded":
            self.init(.json, "application/json", Self.object(ofForm: body.span))
        case "multipart/form-data":
            throw .unsupported(
                "Send a form as application/x-www-form-urlencoded, or the content itself with its own type."
            )
        case "application/x-ndjson":
            throw .unsupported(
                "This version takes no batches; send each message in a request of its own."
            )
        default:
            let isText =
                type.essence.hasPrefix("text/")
                && String(validating: body, as: UTF8.self) != nil
            self.init(isText ? .text : .bytes, type.text, body)
        }
    }

    private init(_ kind: BodyKind, _ contentType: String, _ body: [UInt8]) {
        self.kind = kind
        self.contentType = contentType
        self.body = body
    }

    /// A JSON object of a form's fields in their order; a field given more than once becomes an array.
    private static func object(ofForm form: Span<UInt8>) -> [UInt8] {
        var fields: [(name: String, values: [String])] = []
        var places: [String: Int] = [:]
        Decoding.forEachField(form) { _, nameRange, valueRange in
            let name = Decoding.formText(form, nameRange)
            let value = Decoding.formText(form, valueRange)
            if let place = places[name] {
                fields[place].values.append(value)
            } else {
                places[name] = fields.count
                fields.append((name, [value]))
            }
        }
        var object: [UInt8] = []
        object.reserveCapacity(form.count + form.count / 4 + 16)
        object.append(UInt8(ascii: "{"))
        for (index, field) in fields.enumerated() {
            if index > 0 { object.append(UInt8(ascii: ",")) }
            object.append(jsonString: field.name)
            object.append(UInt8(ascii: ":"))
            if field.values.count == 1 {
                object.append(jsonString: field.values[0])
                continue
            }
            object.append(UInt8(ascii: "["))
            for (index, value) in field.values.enumerated() {
                if index > 0 { object.append(UInt8(ascii: ",")) }
                object.append(jsonString: value)
            }
            object.append(UInt8(ascii: "]"))
        }
        object.append(UInt8(ascii: "}"))
        return object
    }
}

extension Problem {
    fileprivate static func unsupported(_ detail: String) -> Problem {
        Problem(.unsupportedMediaType, "unsupported_media_type", detail)
    }
}
