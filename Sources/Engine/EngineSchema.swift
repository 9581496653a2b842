internal import Embedded
internal import Text

/// The SQL that makes a bus in a database.
package enum EngineSchema {
    /// `site.format` of a schema that this release works with.
    package static let format: Int64 = 2

    /// What the log counts for an entry in addition to its body.
    static let entryBytes: Int64 = 256

    /// Whether it can be used in SQL without quotes, as the name of a schema and as the beginning of the names of
    /// roles.
    package static func isName(_ text: String) -> Bool {
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        guard let first = text.utf8.first, letters.contains(first), text.utf8.count <= 48 else {
            return false
        }
        return text.utf8.allSatisfy {
            letters.contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "_")
        }
    }

    /// The kind and the name of each table, view and function that the script makes, such as "function publish", as often
    /// as it does. All schemas of one format have the same.
    static let objects: [String] = String(
        decoding: EmbeddedFile.bytes(of: "engine.sql"),
        as: UTF8.self
    )
    .split(separator: "\n").compactMap { line in
        for kind in ["function", "table", "view"] {
            let begin = "CREATE \(kind.uppercased()) "
            guard line.hasPrefix(begin) else { continue }
            return "\(kind) \(line.dropFirst(begin.count).prefix { $0 != "(" && $0 != " " })"
        }
        return nil
    }

    /// - Parameters:
    ///   - schema: of the form above.
    ///   - name: what operators call the site.
    package static func script(schema: String, name: String) -> String {
        precondition(isName(schema), "the name of a schema was checked before")
        return String(decoding: EmbeddedFile.bytes(of: "engine.sql"), as: UTF8.self)
            .replacing(part: "@SCHEMA@", with: schema)
            .replacing(part: "@ROLE@", with: schema)
            .replacing(part: "@ENTRY@", with: "\(entryBytes)")
            .replacing(part: "@JSON_DEPTH@", with: "\(JSONText.depthLimit)")
            .replacing(part: "@JSON_NUMBER@", with: "\(JSONText.numberLimit)")
            .replacing(part: "@NAME@", with: name.replacing(part: "'", with: "''"))
    }
}
