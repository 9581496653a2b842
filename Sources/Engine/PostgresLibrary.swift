internal import CPQ

/// libpq, loaded on first use.
enum PostgresLibrary {
    /// Its functions, which stay in place for the life of the process.
    static func functions() throws(PostgresError) -> UnsafePointer<cpq_functions> {
        guard let functions = unsafe cpq_load() else {
            let reason = unsafe String(cString: cpq_problem())
            throw .library("\(reason); install libpq5")
        }
        return unsafe functions
    }

    /// The options of a connection string that have values, by libpq's own parser.
    static func options(in text: String) throws(PostgresError) -> [(keyword: String, value: String)]
    {
        let functions = unsafe try functions()
        var options: [(keyword: String, value: String)] = []
        let problem = unsafe withUnsafeMutablePointer(to: &options) { options in
            unsafe cpq_options(
                text,
                { context, keyword, value in
                    guard let context = unsafe context, let keyword = unsafe keyword,
                        let value = unsafe value
                    else { return }
                    unsafe context.assumingMemoryBound(to: [(keyword: String, value: String)].self)
                        .pointee.append((String(cString: keyword), String(cString: value)))
                },
                options
            )
        }
        if let problem = unsafe problem {
            let sentence = unsafe String(cString: problem)
            unsafe functions.pointee.free_memory(problem)
            throw .library(sentence.trimmedLine)
        }
        return options
    }
}

extension String {
    /// libpq's sentences in one line; in its own ones, a tab begins what continues the line before.
    var trimmedLine: String {
        var line = ""
        var isContinued = false
        for part in split(separator: "\n") {
            if !line.isEmpty { line += part.first == "\t" && isContinued ? " " : "; " }
            isContinued = part.first == "\t"
            line += part.drop { $0 == " " || $0 == "\t" }
        }
        if isContinued, line.last == "." { line.removeLast() }
        return line
    }
}
