import Glibc
import Harness
import Testing

/// The system refuses to write the log: what that means is for its own error to say.
@Suite struct DiskErrorTests {
    /// A library that makes each write to a write-ahead log fail with EIO while a certain file is there.
    private static let library = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/types.h>
        #include <unistd.h>

        static int fails(int fd) {
            char link[64], target[4096];
            const char *flag = getenv("FAILING");
            if (!flag || access(flag, F_OK) != 0) return 0;
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, target, sizeof target - 1);
            return length > 4 && memcmp(target + length - 4, "-wal", 4) == 0;
        }

        #define WRITES(name, offset_type) \\
            ssize_t name(int fd, const void *bytes, size_t count, offset_type offset) { \\
                static ssize_t (*real)(int, const void *, size_t, offset_type); \\
                if (!real) real = dlsym(RTLD_NEXT, #name); \\
                if (fails(fd)) { errno = EIO; return -1; } \\
                return real(fd, bytes, count, offset); \\
            }
        WRITES(pwrite, off_t)
        WRITES(pwrite64, off64_t)
        """

    @Test(.enabled(if: Tool.usable(.cc)))
    func `one input-output error counted as a full disk and cost a tenth of all messages`() throws {
        let server = try HoldfastServer()
        let source = try server.directory.write(Self.library, to: "failing.c")
        let library = server.directory.file("failing.so")
        let compiler = try ChildProcess(
            Tool.cc.path,
            ["-shared", "-fPIC", "-o", library, source, "-ldl"],
            name: "cc",
            directory: server.directory
        )
        try #require(try compiler.wait() == .exited(0))
        let flag = server.directory.file("failing")
        let process = try ChildProcess(
            try Place.holdfast,
            ["serve", "--config", server.iniFile],
            name: "holdfast",
            directory: server.directory,
            environment: ["LD_PRELOAD": library, "FAILING": flag]
        )
        try waitUntil("holdfast is ready") {
            if let exit = process.exitNow() { throw HarnessError("holdfast \(exit)") }
            return (try? server.get("/push/-/ready").status) == 200
        }
        let cursor = try server.cursor("news")
        for number in 0..<100 { try server.publish("news", "\(number)") }
        try server.directory.write("", to: "failing")
        #expect(try server.post("/push/news", "lost").status == 503)
        try Files.remove(flag)
        try waitUntil("publishing works again") {
            try server.post("/push/news", "after").status == 201
        }
        let answer = try server.get("/push/news?since=\(cursor)").json
        #expect(answer["gap"] == .null)
        #expect(answer["messages"].array.first?["data"] == "0")
        #expect(answer["messages"].array.count == 101)
        #expect(server.log.contains("Input/output error"))
        #expect(!server.log.contains("trimmed"))
        process.signal(SIGTERM)
        #expect(try process.wait() == .exited(0))
    }

    @Test(.enabled(if: Tool.usable(.prlimit)))
    func `a largest file size ended the process`() throws {
        try HoldfastServer.with(bus: ["reserve_bytes = 64k"]) { server in
            server.expectsErrors = true
            let process = try #require(server.process)
            let prlimit = try ChildProcess(
                Tool.prlimit.path,
                ["--pid", "\(process.pid)", "--fsize=1000000:"],
                name: "prlimit",
                directory: server.directory
            )
            try #require(try prlimit.wait() == .exited(0))
            let text = String(repeating: "x", count: 20_000)
            for number in 0..<150 {
                let answer = try server.post("/push/news", "\(number) \(text)")
                #expect([201, 507].contains(answer.status))
            }
            #expect(process.running)
            let kept = try server.get("/push/news?since=last:1").json["messages"]
            #expect(kept[0]["data"].string?.hasSuffix(text) == true)
        }
    }

    @Test(.enabled(if: SmallDisk.isPossible, "mounting a tmpfs needs root"))
    func `a start on a nearly full disk silently had no reserve`() throws {
        let directory = try TestDirectory()
        let disk = try SmallDisk(directory, megabytes: 6)
        let bus = ["directory = \(disk.path)/bus", "reserve_bytes = 4M", "max_bytes = 64M"]
        try Files.makeDirectory("\(disk.path)/bus")
        try HoldfastServer.with(HoldfastServer.open, bus: bus) { server in
            server.expectsErrors = true
            try waitUntil("it is said") {
                server.log.contains("is nearly full: the reserve is only 1024 kB")
            }
            let text = String(repeating: "x", count: 20_000)
            // Several times what fits: the oldest go for the newest.
            for number in 0..<500 {
                let answer = try server.post("/push/news", "\(number) \(text)")
                #expect(answer.status == 201)
            }
            #expect(server.log.contains(" warning the log is full"))
        }
    }
}
