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

    typealias Option = (keyword: String, value: String)

    /// The options of a connection string that have values, by libpq's own parser.
    static func options(in text: String) throws(PostgresError) -> [Option] {
        let functions = unsafe try functions()
        var options: [Option] = []
        let problem = unsafe withUnsafeMutablePointer(to: &options) { options in
            unsafe cpq_options(text, add, options)
        }
        if let problem = unsafe problem {
            let sentence = unsafe String(cString: problem)
            unsafe functions.pointee.free_memory(problem)
            throw .library(sentence.trimmedLine)
        }
        return options
    }

    /// All options of a connection with these, as libpq completes them: from the environment (PGHOST), from the service
    /// that they or the environment name, and by its defaults. Without those that are empty.
    static func effective(_ options: [Option]) throws(PostgresError) -> [Option] {
        _ = unsafe try functions()
        // It is judged after all options are known, and before anything else is done.
        let refused = options.filter { $0.keyword != "sslmode" } + [("sslmode", "none of them")]
        var found: [Option] = []
        unsafe withUnsafeMutablePointer(to: &found) { found in
            unsafe withArrays(of: refused) { keywords, values in
                unsafe cpq_effective_options(keywords, values, add, found)
            }
        }
        return found.filter { !$0.value.isEmpty }
    }

    /// Adds an option to the array at `context`.
    private static let add:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UnsafePointer<CChar>?
        ) -> Void = { context, keyword, value in
            guard let context = unsafe context, let keyword = unsafe keyword,
                let value = unsafe value
            else { return }
            unsafe context.assumingMemoryBound(to: [Option].self)
                .pointee.append((String(cString: keyword), String(cString: value)))
        }

    /// The keywords and the values as libpq takes them.
    static func withArrays<T>(
        of options: [Option],
        _ body: ([UnsafePointer<CChar>?], [UnsafePointer<CChar>?]) -> T
    ) -> T {
        let texts = options.map { Array($0.keyword.utf8) } + options.map { Array($0.value.utf8) }
        return unsafe withPointers(to: texts) { pointers in
            var keywords = unsafe Array(pointers.prefix(options.count))
            var values = unsafe Array(pointers.dropFirst(options.count))
            unsafe keywords.append(nil)
            unsafe values.append(nil)
            return unsafe body(keywords, values)
        }
    }

    /// Pointers to these bytes, each followed by a zero.
    static func withPointers<T>(
        to values: [[UInt8]],
        _ body: ([UnsafePointer<CChar>?]) -> T
    ) -> T {
        var storage: [CChar] = []
        storage.reserveCapacity(values.reduce(0) { $0 + $1.count + 1 })
        var starts: [Int] = []
        for value in values {
            starts.append(storage.count)
            storage.append(contentsOf: value.lazy.map { CChar(bitPattern: $0) })
            storage.append(0)
        }
        return unsafe storage.withUnsafeBufferPointer { storage in
            unsafe body(
                starts.map { start in unsafe storage.baseAddress.map { unsafe $0 + start } }
            )
        }
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
