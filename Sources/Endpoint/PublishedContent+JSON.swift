internal import Text

extension PublishedContent {
    /// A JSON value in the form in which it is stored: on one line, without white space between its parts.
    static func compacted(_ source: [UInt8]) throws(Problem) -> [UInt8] {
        do throws(JSONError) {
            return try JSONText.compacted(source)
        } catch {
            throw .badRequest("invalid_json", sentence(of: error))
        }
    }

    private static func sentence(of error: JSONError) -> String {
        switch error {
        case .notUTF8: "JSON must be UTF-8."
        case .notJSON:
            "This is not valid JSON; quote a text, or send it as text instead (text/plain)."
        case .tooDeep:
            "The JSON has more than \(JSONText.depthLimit) levels of nested brackets, which many parsers refuse; send it "
                + "as a string."
        case .halfSurrogate:
            "The JSON contains half a surrogate pair as an escape, which is not a character; write both halves, such as "
                + "\\ud83d\\ude00."
        case .longNumber:
            "The JSON contains a number of more than \(JSONText.numberLimit) characters; send it as a string."
        case .largeNumber:
            "The JSON contains a number larger than a double can represent (about 1e308); send it as a string."
        }
    }
}
