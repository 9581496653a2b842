internal import Channels
internal import Configuration
internal import Text

/// The body of a message, as the log stores it.
struct PublishedContent {
    let kind: BodyKind
    let contentType: String
    let body: [UInt8]

    /// A body that is compressed, say, would be read as something else.
    static func requireNoEncoding(_ contentEncoding: String?) throws(Problem) {
        guard let contentEncoding, !contentEncoding.equalsIgnoringCase("identity") else { return }
        throw .unsupported("Send the body without Content-Encoding.")
    }

    /// The messages in the body of a publish request: one, or one for each line of NDJSON.
    static func messages(
        in body: [UInt8],
        contentType: String?,
        contentEncoding: String?,
        limits: LimitSettings
    ) throws(Problem) -> [PublishedContent] {
        try requireNoEncoding(contentEncoding)
        let type = try contentType.map { text throws(Problem) in
            guard let type = MediaType(text) else {
                throw .unsupported(
                    "The field Content-Type must be type/subtype, with parameters such as ';charset=utf-8' if needed: at most 255 "
                        + "visible ASCII characters, and only one type."
                )
            }
            return type
        }
        if let type, type.essence == MediaType.lines {
            try checkCharset(type, body)
            return try lines(body, limits)
        }
        guard body.count <= limits.messageBytes else { throw .messageTooLarge(limits) }
        let content = try PublishedContent(body, type)
        // A form may grow when it is converted to JSON.
        guard content.body.count <= limits.messageBytes else { throw .messageTooLarge(limits) }
        return [content]
    }

    /// A JSON value in each line; empty lines are skipped.
    private static func lines(
        _ body: [UInt8],
        _ limits: LimitSettings
    ) throws(Problem) -> [PublishedContent] {
        guard body.count <= max(limits.batchBytes, limits.messageBytes) else {
            throw .batchTooLarge(limits)
        }
        var messages: [PublishedContent] = []
        for (index, line) in body.split(
            separator: UInt8(ascii: "\n"),
            omittingEmptySubsequences: false
        ).enumerated() {
            if line.allSatisfy({ $0.isBlank || $0 == 0x0D }) { continue }
            guard messages.count < limits.batchMessages else { throw .batchTooLarge(limits) }
            guard line.count <= limits.messageBytes else {
                throw .messageTooLarge(limits).inLine(index + 1, of: body)
            }
            do throws(Problem) {
                messages.append(try json(line))
            } catch {
                throw error.inLine(index + 1, of: body)
            }
        }
        guard !messages.isEmpty else { throw .emptyBatch }
        return messages
    }

    /// A line of text.
    static func text(_ line: some Collection<UInt8>) throws(Problem) -> PublishedContent {
        guard String(validating: line, as: UTF8.self) != nil else { throw .notUTF8 }
        return PublishedContent(.text, "text/plain; charset=utf-8", Array(line))
    }

    static func json(_ value: some Collection<UInt8>) throws(Problem) -> PublishedContent {
        PublishedContent(.json, "application/json", try compacted(Array(value)))
    }

    /// A text in each line.
    static func textLines(
        _ body: [UInt8],
        _ limits: LimitSettings
    ) throws(Problem) -> [PublishedContent] {
        guard !body.isEmpty else { throw .emptyBatch }
        let body = body.last == UInt8(ascii: "\n") ? body.dropLast() : body[...]
        var messages: [PublishedContent] = []
        for line in body.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard messages.count < limits.batchMessages else { throw .batchTooLarge(limits) }
            guard line.count <= limits.messageBytes else {
                throw .messageTooLarge(limits).inLine(messages.count + 1, of: body)
            }
            do throws(Problem) {
                messages.append(try text(line))
            } catch {
                throw error.inLine(messages.count + 1, of: body)
            }
        }
        return messages
    }

    private init(_ body: [UInt8], _ type: MediaType?) throws(Problem) {
        guard let type else {
            let isText = String(validating: body, as: UTF8.self) != nil
            self.init(
                isText ? .text : .bytes,
                isText ? "text/plain; charset=utf-8" : "application/octet-stream",
                body
            )
            return
        }
        switch type.essence {
        case "application/json":
            try Self.checkCharset(type, body)
            self.init(.json, "application/json", try Self.compacted(body))
        // `curl -d 'some words'` sends text as a form; without "=" it is not a form.
        case MediaType.form where !body.isEmpty && !body.contains(UInt8(ascii: "=")):
            try Self.checkCharset(type, body)
            self = try .text(body)
        case MediaType.form:
            self.init(.json, "application/json", try Self.object(ofForm: body.span, type))
        case "multipart/form-data":
            throw .unsupported(
                "Send a form as application/x-www-form-urlencoded, or the content itself with its own type."
            )
        default:
            let isText = type.essence.hasPrefix("text/") && type.isUTF8(body)
            self.init(isText ? .text : .bytes, type.text, body)
        }
    }

    /// Values must be UTF-8; a body that declares another character set is not accepted as such.
    private static func checkCharset(
        _ type: MediaType,
        _ body: some Collection<UInt8>
    ) throws(Problem) {
        guard type.saysUTF8 || type.isUTF8(body) else {
            throw .unsupported("Send JSON and forms in UTF-8, with that charset or none.")
        }
    }

    private init(_ kind: BodyKind, _ contentType: String, _ body: [UInt8]) {
        self.kind = kind
        self.contentType = contentType
        self.body = body
    }

    /// A JSON object of a form's fields, in order; a repeated field becomes an array.
    private static func object(
        ofForm form: Span<UInt8>,
        _ type: MediaType
    ) throws(Problem) -> [UInt8] {
        var fields: [(name: String, values: [String])] = []
        var places: [ExactText: Int] = [:]
        var isUTF8 = true
        URLDecoding.forEachField(form) { _, nameRange, valueRange in
            guard let name = URLDecoding.formText(form, nameRange),
                let value = URLDecoding.formText(form, valueRange)
            else { return isUTF8 = false }
            if let place = places[ExactText(name)] {
                fields[place].values.append(value)
            } else {
                places[ExactText(name)] = fields.count
                fields.append((name, [value]))
            }
        }
        guard isUTF8 else { throw .notUTF8 }
        for text in fields.flatMap({ [$0.name] + $0.values }) { try checkCharset(type, text.utf8) }
        var object: [UInt8] = []
        object.reserveCapacity(form.count + form.count / 4 + 16)
        object.openObject()
        for field in fields {
            object.append(memberNamed: field.name)
            if field.values.count == 1 {
                object.append(jsonString: field.values[0])
                continue
            }
            object.openArray()
            for value in field.values {
                object.beginElement()
                object.append(jsonString: value)
            }
            object.closeArray()
        }
        object.closeObject()
        return object
    }
}

extension Problem {
    static let notUTF8 = badRequest(
        "not_utf8",
        "Text and forms must be UTF-8; send other bytes with their own type."
    )

    static func messageTooLarge(_ limits: LimitSettings) -> Problem {
        Problem(
            .contentTooLarge,
            "message_too_large",
            "A message may have at most \(limits.messageBytes) bytes."
        )
    }

    fileprivate static let emptyBatch = badRequest(
        "empty_batch",
        "The batch is empty; send one message per line."
    )

    static func batchTooLarge(_ limits: LimitSettings) -> Problem {
        Problem(
            .contentTooLarge,
            "batch_too_large",
            "A batch may have at most \(limits.batchMessages) messages and \(max(limits.batchBytes, limits.messageBytes)) bytes in total."
        )
    }

    static func requestTimeout(_ limits: LimitSettings) -> Problem {
        Problem(
            .unavailable,
            "request_timeout",
            "A command must arrive completely within \(limits.requestSeconds) s (request_timeout in the ini file); send it "
                + "again, all of it at once."
        )
    }

    /// The same problem, in one line of the body; lines count from 1. The only line of a body needs no number.
    fileprivate func inLine(_ number: Int, of body: some Collection<UInt8>) -> Problem {
        guard body.dropLast().contains(UInt8(ascii: "\n")) else { return self }
        var problem = self
        problem.detail = "Line \(number): \(detail)"
        return problem
    }

    fileprivate static func unsupported(_ detail: String) -> Problem {
        Problem(.unsupportedMediaType, "unsupported_media_type", detail)
    }
}
