internal import Foundation

/// The programs that tests run besides Holdfast, and where things are.
package enum Tool: String, CaseIterable {
    case nginx, lighttpd, haproxy, caddy, curl, chromium, socat, php, busybox, node, gzip, prlimit,
        cc, mandoc
    case apache = "apache2"
    case cgiFCGI = "cgi-fcgi"
    /// As Debian 12 names it.
    case phpFPM = "php-fpm8.2"
    case spawnFCGI = "spawn-fcgi"
    case python = "python3"

    /// Where it is, or nil. Debian's own directories first: the PATH's python3 may lack Debian's modules, and a
    /// user's PATH lacks the sbin directories.
    package var installed: String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return (["/usr/sbin", "/usr/bin"] + path.split(separator: ":").map(String.init))
            .map { "\($0)/\(rawValue)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    package var path: String {
        get throws {
            guard let installed else { throw HarnessError("\(rawValue) is not installed") }
            return installed
        }
    }

    /// For `.enabled(if:)`: what is missing is a visible skip, but in CI the test runs, and fails.
    package static func usable(_ tools: Tool...) -> Bool {
        isCI || tools.allSatisfy { $0.installed != nil }
    }

    package static func isExecutable(_ path: String) -> Bool {
        FileManager.default.isExecutableFile(atPath: path)
    }

    package static var isCI: Bool { ProcessInfo.processInfo.environment["CI"] == "true" }
}

package enum Place {
    /// The checkout, found from this file.
    package static let root: String = {
        var url = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// The binary under test: HOLDFAST_BINARY, else the one built beside the tests.
    package static var holdfast: String {
        get throws {
            if let named = ProcessInfo.processInfo.environment["HOLDFAST_BINARY"] { return named }
            let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            let built = tests.deletingLastPathComponent().appendingPathComponent("holdfast").path
            guard FileManager.default.isExecutableFile(atPath: built) else {
                throw HarnessError("no binary at \(built); build it, or set HOLDFAST_BINARY")
            }
            return built
        }
    }

    package static var isRoot: Bool { geteuid() == 0 }

    /// Of the web servers' workers, when root starts them.
    package static var hasWebGroup: Bool { getgrnam("www-data") != nil }

    /// Lets this process and its children have as many descriptors as it may; returns how many.
    @discardableResult
    package static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
