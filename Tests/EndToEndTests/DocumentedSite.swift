import Glibc
import Harness

/// A site as the documentation supposes it, in a directory of a test's own.
///
/// Where things are on a reader's machine, they are in the directory here; nothing else of an example is changed.
struct DocumentedSite {
    let holdfast: HoldfastServer
    let web: WebServer
    /// A proxy before the web server that hides departures.
    let layer: WebServer?

    var directory: TestDirectory { holdfast.directory }

    static func with(routed: Bool = false, _ body: (DocumentedSite) throws -> Void) throws {
        let directory = try TestDirectory()
        for name in ["bin", "cgi-bin", "backups"] { try directory.makeDirectory(name) }
        symlink(try Place.holdfast, directory.file("bin/holdfast"))
        symlink("\(Place.root)/conf", directory.file("conf"))
        try directory.write("a line of a log\n", to: "app.log")
        // A mail that is sent is a file.
        let mail = "#!/bin/sh\ncat >>\(directory.file("sent"))\n"
        chmod(try directory.write(mail, to: "bin/sendmail"), 0o755)
        let holdfast = try HoldfastServer(settings(directory), directory: directory)
        try holdfast.start()
        _ = try holdfast.busClient()
        // What others have published before.
        for channel in ["news", "chat", "jobs/1", "mail"] { try holdfast.publish(channel, "hello") }
        try WebServer.with(.nginx, before: holdfast) { web throws in
            if routed {
                try WebServer.with(.nginxRouting, before: web) {
                    try body(DocumentedSite(holdfast: holdfast, web: web, layer: $0))
                }
            } else {
                try body(DocumentedSite(holdfast: holdfast, web: web, layer: nil))
            }
        }
        try holdfast.finish()
    }

    private static func settings(_ directory: TestDirectory, hold: String = "") -> String {
        """
        [allow **]
        read = everyone
        publish = everyone
        [presence chat]
        [pipe \(directory.file("bus.pipe"))]
        [endpoint /debug]
        action = held
        [cors]
        origins = https://www.example.org
        [hold]
        jitter = 0%
        \(hold)

        """
    }

    /// For the doctor, which waits for a whole hold.
    func shortenHolds() throws {
        try holdfast.writeSettings(Self.settings(directory, hold: "max_wait = 1s"))
        holdfast.reload()
        try waitUntil("the ini file is read") { holdfast.log.contains("ini file read again") }
    }

    /// The text with the places of this site.
    func placed(_ text: String) -> String {
        var names = [
            ("/run/holdfast-bus/bus.sock", holdfast.busSocket),
            ("/run/holdfast-bus/bus.pipe", directory.file("bus.pipe")),
            ("/run/holdfast/holdfast.sock", holdfast.address.description),
            ("/etc/holdfast/holdfast.ini", holdfast.iniFile),
            ("/etc/holdfast/web.secret", directory.file("web.secret")),
            // Others than root may give a file to their own group only.
            (
                "chgrp www-data",
                Place.isRoot && Place.hasWebGroup ? "chgrp www-data" : "chgrp \(getegid())"
            ),
            ("/usr/local/bin/", directory.file("bin/")),
            ("/usr/lib/cgi-bin/", directory.file("cgi-bin/")),
            ("/var/backups/", directory.file("backups/")),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:\(web.port)/"),
            ("https://example.org/", "http://127.0.0.1:\(web.port)/"),
            ("http://localhost", "http://127.0.0.1:\(web.port)"),
        ]
        if let layer { names.append(("127.0.0.1:8090", "127.0.0.1:\(layer.port)")) }
        return names.reduce(text) { $0.replacing($1.0, with: $1.1) }
    }

    /// Starts a line as a shell does.
    func start(_ line: String) throws -> ChildProcess {
        try ChildProcess(
            "/bin/sh",
            ["-c", "cd \(directory.path)\n\(placed(line))"],
            name: "example-\(UInt32.random(in: 0...UInt32.max))",
            directory: directory,
            environment: [
                "HOLDFAST_INI": holdfast.iniFile,
                "PATH": "\(directory.file("bin")):/usr/sbin:/usr/bin:/bin",
            ],
            ownGroup: true
        )
    }
}
