/// One event as a line of the operator's log, without its end. Pure.
///
/// Only the process itself writes lines or control characters into the log: what a client sent is quoted and escaped,
/// and a control character, a format character or a line separator is written as `\u{…}`.
package struct LogLine {
    /// As in RFC 3339, in UTC.
    let time: String
    let level: String
    let message: String
    /// In the order of their names.
    let fields: [(name: String, value: String)]

    package init(time: String, level: String, message: String, fields: [String: String] = [:]) {
        self.time = time
        self.level = level
        self.message = message
        self.fields = fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// For people: `TIME LEVEL MESSAGE NAME=VALUE…`, values as they are.
    package var text: String {
        fields.reduce("\(time) \(level) \(Self.printable(message))") { line, field in
            "\(line) \(field.name)=\(Self.printable(field.value))"
        }
    }

    /// `time=… level=… msg="…" NAME=VALUE…`: a value that is not one plain word is quoted, as a JSON string is.
    package var logfmt: String {
        fields.reduce("time=\(time) level=\(level) msg=\(Self.word(message))") { line, field in
            "\(line) \(field.name)=\(Self.word(field.value))"
        }
    }

    /// An object with the members `time`, `level`, `message` and one for each field.
    package var json: String {
        var bytes: [UInt8] = []
        bytes.openObject()
        bytes.append(member: "time", text: time)
        bytes.append(member: "level", text: level)
        bytes.append(member: "message", text: Self.printable(message))
        for field in fields {
            bytes.append(memberNamed: field.name)
            bytes.append(jsonString: Self.printable(field.value))
        }
        bytes.closeObject()
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func word(_ value: String) -> String {
        let isPlain = value.utf8.allSatisfy {
            $0.isVisibleASCII && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
                && $0 != UInt8(ascii: "\\")
        }
        if isPlain, !value.isEmpty { return value }
        var bytes: [UInt8] = []
        bytes.append(jsonString: printable(value))
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                safe += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
